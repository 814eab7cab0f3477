import assert from "node:assert/strict";
import { test } from "node:test";
import { type DiffSource, MAX_CHANGED_LINES, readDiff } from "../src/content/compare_texts";
import { type DiffRow, pairsOf, sectionsOf } from "../src/content/diff_rows";
import { unifiedRows } from "../src/content/unified_diff";
import { random } from "./random";

const SIGNS: Record<string, string> = { added: "+", removed: "-", same: " ", hunk: "", file: "", note: "" };

function read(source: DiffSource): { rows: readonly DiffRow[] | null; steps: number } {
  const work = readDiff(source);
  for (let steps = 1; ; steps += 1) {
    const step = work.next();
    if (step.done) return { rows: step.value, steps };
  }
}

function sketch(rows: readonly DiffRow[]): string[] {
  return rows.map((row) => `${row.kind} ${row.before ?? "-"} ${row.after ?? "-"} ${row.text}`);
}

const DIFF = `diff --git a/x b/x
index 1..2 100644
--- a/x
+++ b/x
@@ -1,3 +1,4 @@ fn main
 one
--- two
+++ two
+two and a half
 three
\\ No newline at end of file
--- a/y
+++ b/y
@@ -7 +7 @@
-a
+b
trailing words
`;

test("a diff is read by the counts of its hunks", () => {
  assert.deepEqual(sketch(unifiedRows(DIFF)), [
    "file - - diff --git a/x b/x",
    "file - - index 1..2 100644",
    "file - - --- a/x",
    "file - - +++ b/x",
    "hunk - - @@ -1,3 +1,4 @@ fn main",
    "same 1 1 one",
    "removed 2 - -- two",
    "added - 2 ++ two",
    "added - 3 two and a half",
    "same 3 4 three",
    "note - - \\ No newline at end of file",
    "file - - --- a/y",
    "file - - +++ b/y",
    "hunk - - @@ -7 +7 @@",
    "removed 7 - a",
    "added - 7 b",
    "note - - trailing words",
  ]);
});

test("each line of any text is one row, also where the diff is wrong", () => {
  const pieces = [
    "@@ -1,2 +1,2 @@",
    "@@ -1 +1 @@",
    "+a",
    "-b",
    " c",
    "",
    "--- x",
    "+++ y",
    "diff --git a b",
    "\\ No",
    "text",
    "@@ -9,999999999 +1 @@",
  ];
  for (let seed = 1; seed <= 2_000; seed += 1) {
    const below = random(seed);
    const lines = Array.from({ length: 1 + below(12) }, () => pieces[below(pieces.length)] as string);
    const rows = unifiedRows(`${lines.join("\n")}\n`);
    assert.equal(rows.length, lines.length);
    rows.forEach((row, place) => {
      const line = lines[place] as string;
      if (row.kind === "same" && line === "") assert.equal(row.text, "");
      else assert.equal((SIGNS[row.kind] ?? "") + row.text, line, `seed ${seed}`);
      assert.ok(!line.startsWith("+a") || row.kind === "added");
      assert.ok(!line.startsWith("-b") || row.kind === "removed");
    });
  }
});

test("two texts are compared by lines, and changed lines by words", () => {
  const { rows } = read({ before: "a\nthe old price is 10\nz", after: "a\nthe new price is 10\nz\n" });
  assert.ok(rows);
  assert.deepEqual(sketch(rows), [
    "same 1 1 a",
    "removed 2 - the old price is 10",
    "added - 2 the new price is 10",
    "same 3 3 z",
    "added - 4 ",
  ]);
  const changed = (row: DiffRow | undefined) =>
    row?.words?.filter((word) => word.isChanged).map((word) => word.text);
  assert.deepEqual(changed(rows[1]), ["old"]);
  assert.deepEqual(changed(rows[2]), ["new"]);
});

test("a change of spaces or of line ends alone is seen", () => {
  const changed = (before: string, after: string) =>
    read({ before, after }).rows?.filter((row) => row.kind !== "same").length;
  assert.equal(changed("a b", "a  b"), 2);
  assert.equal(changed("a\r\nb", "a\r\nb"), 0);
  assert.equal(changed("a\r\nb\r\n", "a\nb\r\n"), 2);
  const { rows } = read({ before: "x = 1\ny", after: "x = 1 \ny" });
  assert.ok(rows?.[1]?.words?.some((word) => word.isChanged) || rows?.[1]?.words === undefined);
});

test("the rows hold both texts whole", () => {
  for (let seed = 1; seed <= 500; seed += 1) {
    const below = random(seed);
    const text = () =>
      Array.from(
        { length: below(12) },
        () => ["a", "b", "long line of words", "long line of other words", ""][below(5)],
      ).join("\n");
    const [before, after] = [text(), text()];
    const { rows } = read({ before, after });
    assert.ok(rows);
    const side = (other: string) =>
      rows
        .filter((row) => row.kind !== other)
        .map((row) => row.text)
        .join("\n");
    assert.equal(side("added"), before, `seed ${seed}`);
    assert.equal(side("removed"), after, `seed ${seed}`);
    for (const row of rows) {
      if (row.words) assert.equal(row.words.map((word) => word.text).join(""), row.text, `seed ${seed}`);
    }
    for (const pair of pairsOf(rows))
      assert.ok("across" in pair || pair.left !== null || pair.right !== null);
    assert.equal(
      sectionsOf(rows).reduce((sum, section) => sum + section.rows.length, 0),
      rows.length,
    );
  }
});

test("texts that are too different are not compared", () => {
  const lines = (prefix: string, n: number) =>
    Array.from({ length: n }, (_, place) => `${prefix}${place}`).join("\n");
  const half = MAX_CHANGED_LINES / 2;
  assert.ok(read({ before: lines("a", half), after: lines("b", half) }).rows);
  assert.equal(read({ before: lines("a", half), after: lines("b", half + 1) }).rows, null);
  assert.deepEqual(read({ before: lines("a", 9_000), after: lines("b", 9_000) }), { rows: null, steps: 2 });
  const same = lines("same", 20_000);
  assert.ok(read({ before: `${same}\nx`, after: `y\n${same}` }).rows);
});

test("a diff of 512 KiB is read in steps", () => {
  const line = "-the old value of this line is 1\n+the new value of this line is 2\n";
  const text = `@@ -1,9000 +1,9000 @@\n${line.repeat(Math.floor((512 * 1_024) / line.length))}`;
  const { rows, steps } = read({ diff: text });
  assert.equal(rows?.length, text.split("\n").length - 1);
  assert.ok(steps > 400);
});

test("unchanged lines far from a change are folded, and changes never", () => {
  const before = Array.from({ length: 40 }, (_, n) => `line ${n}`);
  const after = before.with(20, "changed");
  const { rows } = read({ before: before.join("\n"), after: after.join("\n") });
  assert.ok(rows);
  assert.deepEqual(
    sectionsOf(rows).map((section) => [section.isFold, section.rows.length]),
    [
      [true, 17],
      [false, 8],
      [true, 16],
    ],
  );
  assert.deepEqual(
    sectionsOf(rows.slice(0, 5)).map((section) => section.isFold),
    [true],
  );
});

test("side by side, a removed line stands beside the line that took its place", () => {
  const pairs = pairsOf(unifiedRows("@@ -1,4 +1,3 @@\n a\n-b\n-c\n+B\n d\n"));
  const texts = pairs.map((pair) =>
    "across" in pair ? "across" : `${pair.left?.text ?? "."}|${pair.right?.text ?? "."}`,
  );
  assert.deepEqual(texts, ["across", "a|a", "b|B", "c|.", "d|d"]);
});

test("a change begins at its first line, whichever side that is on", () => {
  const begins = (rows: readonly DiffRow[] | null) =>
    rows?.flatMap((row, place) => (row.begins ? [`${place} ${row.kind}`] : []));
  assert.deepEqual(begins(read({ diff: DIFF }).rows), ["6 removed", "14 removed"]);
  assert.deepEqual(begins(read({ before: "a\nb\nc\nd", after: "x\nb\nc\ny\nz" }).rows), [
    "0 removed",
    "4 removed",
  ]);
  assert.deepEqual(begins(read({ before: "a", after: "a" }).rows), []);
});
