import assert from "node:assert/strict";
import { test } from "node:test";
import { highlight, textOf } from "../src/content/highlight";
import {
  FIRST_ROWS,
  keyEffect,
  MOST_ROWS,
  openState,
  PAGE,
  reuseRows,
  rowsOf,
  sizesOf,
  type TreeState,
  toggleRow,
} from "../src/content/json_rows";
import { webLink } from "../src/content/links";
import { viewOf } from "../src/content/media_types";
import { SeenPart, visibleRange } from "../src/content/seen_lines";
import { SLICE_MS, Slices } from "../src/content/slices";
import { chunksOf, firstPart } from "../src/content/text_chunks";
import { format, parse } from "../src/json/exact";
import { random } from "./random";

test("a long text is split at ends of lines, and nothing is lost", () => {
  const text = Array.from({ length: 3_000 }, (_, n) => `line ${n}`).join("\n");
  const chunks = chunksOf(text, 100);
  assert.equal(chunks.join(""), text);
  assert.ok(
    chunks.every((chunk, n) => chunk.length <= 100 && (chunk.endsWith("\n") || n === chunks.length - 1)),
  );
  const line = "😀".repeat(1_001);
  assert.equal(chunksOf(line, 99).join(""), line);
  assert.ok(chunksOf(line, 99).every((chunk) => !/\p{Cs}/u.test(chunk)));
  assert.deepEqual(chunksOf(""), []);
});

test("what a long text leaves out is counted", () => {
  assert.deepEqual(firstPart("abc", 3), { text: "abc", lines: 0 });
  assert.deepEqual(firstPart("ab\ncd\nef\ngh", 7), { text: "ab\ncd\n", lines: 2 });
  assert.equal(firstPart("x".repeat(50), 7).lines, 1);
  // What a person would scroll past, not the ends of lines: 200,000 characters without one fill many screens.
  assert.equal(firstPart("x".repeat(200_000), 20_000).lines, 1_800);
});

test("work stops at the end of a slice and goes on later", () => {
  let now = 0;
  const later: (() => void)[] = [];
  const clock = { now: () => now, later: (go: () => void) => void later.push(go) };
  function* work(): Generator<void, string> {
    for (let n = 0; n < 10; n += 1) {
      now += SLICE_MS / 2;
      yield;
    }
    return "done";
  }
  const slices = new Slices(work(), clock);
  let finished = 0;
  slices.finish(() => {
    finished += 1;
  });
  let turns = 0;
  for (let go = later.shift(); go !== undefined; go = later.shift()) {
    turns += 1;
    go();
  }
  assert.deepEqual([turns, finished, slices.result], [5, 1, "done"]);
  const stopped = new Slices(work(), clock);
  stopped.finish(() => assert.fail("stopped"));
  stopped.stop();
  later.shift()?.();
  assert.equal(stopped.result, null);
});

test("a JSON tree keeps numbers and order, and says how much it hides", () => {
  const root = parse('{"z": 12345678901234567890, "10": 1.50, "a/b~": {"x": [1, 2]}, "n": null, "e": {}}');
  const sizes = sizesOf(root);
  const rows = rowsOf(root, openState(root, MOST_ROWS), sizes);
  assert.deepEqual(
    rows.map((row) => [row.id, row.level, row.name, row.shape, row.text]),
    [
      ["", 1, null, "object", ""],
      ["/z", 2, "z", "value", "12345678901234567890"],
      ["/10", 2, "10", "value", "1.50"],
      ["/a~1b~0", 2, "a/b~", "object", ""],
      ["/a~1b~0/x", 3, "x", "array", ""],
      ["/a~1b~0/x/0", 4, "0", "value", "1"],
      ["/a~1b~0/x/1", 4, "1", "value", "2"],
      ["/n", 2, "n", "value", "null"],
      ["/e", 2, "e", "object", ""],
    ],
  );
  const closed = rowsOf(root, { open: new Set(), shown: new Map() }, sizes);
  assert.deepEqual([closed.length, closed[0]?.withheld], [1, 8]);
});

test("a large JSON tree begins with few rows and counts the others", () => {
  const root = parse(
    format(parse(`[${Array.from({ length: 30_000 }, (_, n) => `{"id": ${n}}`).join(",")}]`)),
  );
  const sizes = sizesOf(root);
  let state = openState(root, FIRST_ROWS);
  let rows = rowsOf(root, state, sizes);
  const total = () =>
    rows.reduce((sum, row) => sum + row.withheld, 0) + rows.filter((row) => row.shape !== "more").length;
  assert.equal(rows.length, 1 + PAGE + 1);
  assert.equal(total(), 60_001);
  const more = rows.at(-1);
  assert.ok(more?.shape === "more");
  state = toggleRow(state, more);
  rows = rowsOf(root, state, sizes);
  assert.equal(rows.length, 1 + 6 * PAGE + 1);
  assert.equal(total(), 60_001);
  rows = rowsOf(root, openState(root, MOST_ROWS), sizes);
  assert.deepEqual([rows.length, total()], [MOST_ROWS + 1, 60_001]);
  rows = rowsOf(root, openState(root, 99_999), sizes);
  assert.deepEqual([rows.length, total()], [60_001, 60_001]);
});

test("only rows that changed are drawn again", () => {
  const root = parse('{"a": {"b": 1}, "c": [3], "d": 2}');
  const sizes = sizesOf(root);
  const closed = rowsOf(root, openState(root, 4), sizes);
  const opened = reuseRows(rowsOf(root, openState(root, 99), sizes), closed);
  assert.deepEqual(
    opened.filter((row) => !closed.includes(row)).map((row) => row.id),
    ["/a", "/a/b", "/c", "/c/0"],
  );
});

test("the keys of a tree", () => {
  const root = parse('{"a": {"b": 1}, "c": [], "d": 2}');
  const sizes = sizesOf(root);
  let state: TreeState = { open: new Set([""]), shown: new Map() };
  const rows = () => rowsOf(root, state, sizes);
  assert.deepEqual(keyEffect(rows(), 0, "ArrowRight"), { focus: 1 });
  assert.deepEqual(keyEffect(rows(), 1, "ArrowRight"), { toggle: 1 });
  const [, a] = rows();
  assert.ok(a);
  state = toggleRow(state, a);
  assert.deepEqual(keyEffect(rows(), 2, "ArrowLeft"), { focus: 1 });
  assert.deepEqual(keyEffect(rows(), 1, "ArrowLeft"), { toggle: 1 });
  assert.deepEqual(keyEffect(rows(), 3, "ArrowRight"), null);
  assert.deepEqual(keyEffect(rows(), 3, "Enter"), null);
  assert.deepEqual(keyEffect(rows(), 4, "ArrowDown"), { focus: 4 });
  assert.deepEqual(keyEffect(rows(), 2, "Home"), { focus: 0 });
  assert.deepEqual(keyEffect(rows(), 0, "End"), { focus: 4 });
  assert.deepEqual(keyEffect(rows(), 0, "a"), null);
});

test("colours change no text", () => {
  const code = 'def f(x):\n    """Doc <b>."""\n    return f"{x!r}" + \'</script>\' * 2  # note\n';
  const spans = highlight(code, "python title=x");
  assert.ok(spans !== null);
  assert.equal(textOf(spans), code);
  assert.ok(spans.some((span) => typeof span !== "string" && span.scope === "keyword"));
  const html = "<script>let x = `a`;</script><style>p {}</style>";
  assert.equal(textOf(highlight(html, "html") ?? []), html);
  for (const scope of JSON.stringify(highlight(html, "html")).match(/"scope":"([^"]*)"/g) ?? []) {
    assert.match(scope, /^"scope":"[\w-]*"$/);
  }
  assert.equal(highlight("x", "no-such-language"), null);
  assert.equal(highlight("x", "__proto__"), null);
  assert.equal(highlight("1+".repeat(10_000), "python"), null);
});

test("random text keeps every character when it gets colours", () => {
  const pieces = [
    "<",
    ">",
    "/*",
    "*/",
    '"',
    "'",
    "`",
    "${",
    "}",
    "#",
    "\n",
    "a",
    "0x1",
    "\\",
    "=>",
    "<!--",
    "-->",
    "fn ",
  ];
  for (const language of ["javascript", "python", "xml", "yaml", "sql", "bash", "json", "css", "rust"]) {
    for (let seed = 1; seed <= 60; seed += 1) {
      const below = random(seed);
      const text = Array.from({ length: 40 }, () => pieces[below(pieces.length)]).join("");
      assert.equal(textOf(highlight(text, language) ?? []), text, `${language} ${seed}`);
    }
  }
});

test("a view for each media type", () => {
  const types: [string, string][] = [
    ["", "text"],
    ["text/plain; charset=utf-8", "text"],
    ["Text/Markdown", "markdown"],
    ["text/x-diff", "diff"],
    ["text/x-patch", "diff"],
    ["application/json", "json"],
    ["application/geo+json", "json"],
    ["text/x-python", "code"],
    ["application/yaml", "code"],
    ["text/html", "code"],
    ["image/svg+xml", "code"],
    ["image/png", "image"],
    ["application/unheard-of", "text"],
    ["nonsense", "text"],
  ];
  for (const [type, kind] of types) assert.equal(viewOf(type).kind, kind, type);
});

test("files are links to web addresses only", () => {
  assert.equal(webLink("https://a.example/x")?.host, "a.example");
  for (const url of [
    "mailto:a@b.example",
    "javascript:1",
    "/x",
    "java\tscript:1",
    " https://a.example",
    "https://a.example\\@b.example",
    "https://a@b.example",
    `https://a.example/${"x".repeat(2_048)}`,
  ]) {
    assert.equal(webLink(url), null, url);
  }
});

test("what was on the screen is remembered, and the rest is counted", () => {
  const part = new SeenPart();
  assert.equal(part.unseen(1_000), 1_000);
  part.add(1_000, -50, 300);
  part.add(1_000, 600, 1_200);
  assert.equal(part.unseen(1_000), 300);
  part.add(1_000, 250, 400);
  assert.equal(part.unseen(1_000), 200);
  part.add(1_000, 700, 100);
  assert.equal(part.unseen(1_000), 200);
  assert.equal(Math.round(part.unseen(2_000)), 400);
  part.add(2_000, 0, 2_000);
  assert.equal(part.unseen(2_000), 0);
});

test("a block is visible where nothing around it cuts it off", () => {
  const screen = { top: 0, bottom: 800 };
  assert.deepEqual(visibleRange({ top: 100, bottom: 300 }, [screen]), [0, 200]);
  assert.deepEqual(
    visibleRange({ top: -100, bottom: 1_000 }, [screen, { top: 50, bottom: 600 }]),
    [150, 700],
  );
  const [top, bottom] = visibleRange({ top: 900, bottom: 1_000 }, [screen]);
  assert.ok(bottom < top);
});
