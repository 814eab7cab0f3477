import assert from "node:assert/strict";
import { test } from "node:test";
import { isOpen, MAX_TOMBSTONES, View } from "../src/model/view";
import type { PromptEvent } from "../src/wire/messages";

const up = (promptId: string, version: string, title = ""): PromptEvent => ({
  upserted: { prompt: { promptId, version, state: "PROMPT_STATE_PENDING", content: { title } } },
});
const closed = (promptId: string, version: string, answerId = "x"): PromptEvent => ({
  closed: {
    promptId,
    version,
    answerId,
    resolution: { state: "PROMPT_STATE_ANSWERED", actor: "ana", time: "2026-11-29T10:00:00Z" },
  },
});
const removed = (promptId: string, version: string): PromptEvent => ({ removed: { promptId, version } });

function view(mine = ""): View {
  return new View(
    () => 5,
    (answerId) => answerId === mine,
  );
}

const open = (of: View) => [...of.rows].filter(([, row]) => isOpen(row)).map(([id]) => id);
const title = (of: View, id: string) => of.rows.get(id)?.prompt.content?.title;

test("the highest version wins, as a number and not as text, whatever the order", () => {
  const it = view();
  it.apply([up("a", "9", "old"), up("a", "10", "new"), up("a", "9", "old"), up("a", "10", "doubled")]);
  assert.equal(title(it, "a"), "new");
  it.apply([up("b", "9007199254740993", "later"), up("b", "9007199254740992", "earlier")]);
  assert.equal(title(it, "b"), "later");
});

test("a closed prompt stays as a tombstone and is not opened by an older or doubled frame", () => {
  const it = view("mine");
  it.apply([
    up("a", "1", "t"),
    up("b", "2"),
    closed("a", "5", "mine"),
    up("a", "4"),
    up("a", "5"),
    closed("a", "5"),
  ]);
  const row = it.rows.get("a");
  assert.deepEqual(open(it), ["b"]);
  assert.deepEqual(
    [row?.closed?.mine, row?.closed?.at, row?.closed?.resolution.actor, row?.prompt.content?.title],
    [true, Date.parse("2026-11-29T10:00:00Z"), "ana", "t"],
  );
  assert.equal(row?.prompt.state, "PROMPT_STATE_ANSWERED");
  assert.equal(it.openCount, 1);
});

test("the end of a prompt that comes before the prompt keeps it closed", () => {
  const it = view();
  it.apply([closed("a", "5"), up("a", "3"), up("a", "5")]);
  assert.equal(it.rows.size, 0);
});

test("a removed prompt comes back with a higher version only", () => {
  const it = view();
  it.apply([up("a", "1"), removed("a", "3"), up("a", "2"), up("a", "3")]);
  assert.deepEqual([open(it), it.rows.get("a")?.removed], [[], true]);
  it.apply([up("a", "4")]);
  assert.deepEqual([open(it), it.rows.get("a")?.removed], [["a"], undefined]);
});

test("a row keeps the time of its arrival, and the map of before is not changed", () => {
  let now = 5;
  const it = new View(
    () => now,
    () => false,
  );
  it.apply([up("a", "1")]);
  const before = it.rows;
  now = 9;
  it.apply([up("a", "2"), up("b", "1")]);
  assert.equal(it.rows.get("a")?.arrivedAt, 5);
  assert.equal(before.size, 1);
});

test("a snapshot closes what it does not have, and keeps what it has in an equal version", () => {
  const it = view();
  it.apply([up("a", "1"), up("b", "1"), up("c", "1"), closed("c", "2")]);
  it.lost();
  it.snapshotBegins();
  it.apply([up("a", "1"), up("d", "1")]);
  assert.equal(open(it).includes("b"), true, "nothing vanishes before the snapshot is complete");
  it.finishSnapshot();
  assert.deepEqual(open(it), ["a", "d"]);
  assert.equal(it.rows.get("b")?.removed, true);
  assert.equal(it.rows.get("c")?.closed?.answerId, "x");
  assert.deepEqual(it.becameLive(), { closed: 1, added: 1 });
});

test("a snapshot that breaks off leaves nothing behind in the next one", () => {
  const it = view();
  it.snapshotBegins();
  it.apply([up("a", "1"), up("b", "1")]);
  it.snapshotBegins();
  it.apply([up("a", "1")]);
  it.finishSnapshot();
  assert.deepEqual(open(it), ["a"]);
});

test("a snapshot after a reset that breaks off takes away no row when the view resumes", () => {
  const it = view();
  it.apply([up("a", "1"), up("b", "1")]);
  it.reset(false);
  it.apply([up("b", "2")]);
  it.resumes();
  it.apply([up("b", "3")]);
  it.finishSnapshot();
  assert.deepEqual(open(it), ["a", "b"]);
});

test("a row that an earlier reset took away comes back in an equal version", () => {
  const it = view();
  it.apply([up("a", "1")]);
  it.reset(false);
  it.finishSnapshot();
  assert.deepEqual(open(it), []);
  it.reset(false);
  it.apply([up("a", "1")]);
  it.finishSnapshot();
  assert.deepEqual(open(it), ["a"]);
});

test("after a reset closed prompts stay closed, unless the history was lost", () => {
  for (const historyLost of [false, true]) {
    const it = view();
    it.apply([up("a", "7"), up("b", "7"), closed("a", "9"), up("c", "7"), closed("c", "9")]);
    it.reset(historyLost);
    it.apply([up("a", "3"), up("b", "2")]);
    it.finishSnapshot();
    assert.deepEqual(open(it).sort(), historyLost ? ["a", "b"] : ["b"], `history lost: ${historyLost}`);
    assert.equal(it.rows.get("b")?.prompt.version, historyLost ? "2" : "7");
    assert.equal(it.rows.has("c"), !historyLost, "who answered it is true in its own history only");
  }
});

test("a snapshot without a resume token is the truth, since nothing says whether the history was lost", () => {
  const it = view();
  it.apply([up("a", "7"), up("b", "7"), closed("b", "9")]);
  it.snapshotBegins();
  it.apply([up("a", "3"), up("b", "4")]);
  it.finishSnapshot();
  assert.deepEqual([open(it), it.rows.get("a")?.prompt.version], [["a", "b"], "3"]);
});

test("what changed while away is counted between the loss and the catch-up", () => {
  const it = view();
  it.apply([up("a", "1"), up("b", "1"), up("c", "1")]);
  assert.deepEqual(it.becameLive(), { closed: 0, added: 0 });
  it.lost();
  it.apply([closed("a", "2"), removed("b", "2"), up("c", "2"), up("d", "1")]);
  it.lost();
  it.apply([up("e", "1"), closed("e", "2")]);
  assert.deepEqual(it.becameLive(), { closed: 2, added: 1 });
  assert.deepEqual(it.becameLive(), { closed: 0, added: 0 });
});

test("another filter leaves no tombstones and is no news", () => {
  const it = view();
  it.apply([up("a", "1"), up("b", "1")]);
  it.lost();
  it.filterChanged();
  it.snapshotBegins();
  it.apply([up("b", "1"), up("c", "1")]);
  it.finishSnapshot();
  assert.deepEqual([[...it.rows.keys()], it.becameLive()], [["b", "c"], { closed: 0, added: 0 }]);
  it.snapshotBegins();
  it.apply([up("a", "1")]);
  it.finishSnapshot();
  assert.equal(it.rows.get("b")?.removed, true, "the snapshot after that leaves tombstones again");
  assert.deepEqual(open(it), ["a"], "a row of an earlier filter comes back in an equal version");
});

test("a reply tells of prompts in the view only, and how a removed one ended", () => {
  const it = view();
  it.learn({ promptId: "z", version: "1" });
  assert.equal(it.rows.size, 0);
  it.apply([up("a", "1"), removed("a", "2")]);
  const resolution = { state: "PROMPT_STATE_ANSWERED", answer: { answerId: "y" } } as const;
  it.learn({ promptId: "a", version: "2", state: "PROMPT_STATE_ANSWERED", resolution });
  assert.equal(it.rows.get("a")?.closed?.answerId, "y");
});

test("tombstones are bounded, open rows are not", () => {
  const it = view();
  for (let number = 0; number < MAX_TOMBSTONES + 50; number += 1) {
    it.apply([up(`c${number}`, "1"), up(`o${number}`, "1"), closed(`c${number}`, "2")]);
  }
  assert.equal(it.openCount, MAX_TOMBSTONES + 50);
  assert.equal(it.rows.size - it.openCount, MAX_TOMBSTONES);
  assert.equal(it.rows.has("c0"), false);
  it.apply([up("c0", "1")]);
  assert.equal(it.rows.has("c0"), false, "its version is remembered");
});
