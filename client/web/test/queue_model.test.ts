import assert from "node:assert/strict";
import { test } from "node:test";
import { arrange } from "../src/view/arrangement";
import { idOf } from "../src/view/prompt_facts";
import { DEFAULT_QUERY, type Query } from "../src/view/query";
import { facets } from "../src/view/facets";
import { factOf, grouped, groupSizes, select, similarRows } from "../src/view/queue_model";
import type { Row } from "../src/model/inbox";
import { at, NOW, prompt, row } from "./prompts_of_tests";

const viewer = { subject: "ana", now: NOW };
const query = (more: Partial<Query> = {}): Query => ({ ...DEFAULT_QUERY, ...more });
const ids = (rows: readonly Row[]) => rows.map((one) => idOf(one.prompt));

const rows = [
  row(prompt(1, { claimedBy: "bob", claimExpireTime: at(5) })),
  row(prompt(2, { claimedBy: "bob", claimExpireTime: at(-5) })),
  row(prompt(3, { claimedBy: "ana", claimExpireTime: at(5) }, { kind: "preview" })),
  row(prompt(4, {}, { audience: { users: ["ana"] }, labels: { team: "a" } })),
  row(prompt(5, {}, { priority: 10 })),
  row(prompt(6, { expireTime: at(1) })),
  row(prompt(7, { state: "PROMPT_STATE_ANSWERED" })),
  row(prompt(8), { removed: true }),
  row(prompt(9, { jobType: "deploy" }, { labels: { team: "b" } })),
];

test("the most urgent come first: what ends within minutes, priority, deadline, age", () => {
  assert.deepEqual(ids(select(rows, query(), viewer).rows), ["p6", "p5", "p9", "p4", "p3", "p2", "p1"]);
  assert.deepEqual(ids(select(rows, query({ order: "newest" }), viewer).rows)[0], "p1");
  assert.deepEqual(ids(select(rows, query({ order: "deadline" }), viewer).rows)[0], "p6");
});

test("what ends within minutes comes before any priority, and is counted where a filter hides it", () => {
  const near = [
    row(prompt(1, {}, { priority: 9 })),
    row(prompt(2, { expireTime: at(4) })),
    row(prompt(3, { expireTime: at(2) }, { priority: -3 })),
    row(prompt(4, { expireTime: at(6) })),
    row(prompt(5, { expireTime: at(1), claimedBy: "bob", claimExpireTime: at(5) })),
  ];
  assert.deepEqual(ids(select(near, query(), viewer).rows), ["p5", "p3", "p2", "p1", "p4"]);
  assert.deepEqual(ids(select(near, query({ order: "priority" }), viewer).rows)[0], "p1");
  const hidden = select(near, query({ search: "nothing like it" }), viewer);
  assert.deepEqual(hidden.ending.map(idOf), ["p3", "p2"]);
});

test("each view's count equals its list, and closed prompts are in none", () => {
  for (const view of ["all", "mine", "unclaimed"] as const) {
    const found = select(rows, query({ view }), viewer);
    assert.equal(found.rows.length, found.counts[view], view);
  }
  const mine = select(rows, query({ view: "mine" }), viewer);
  assert.deepEqual(ids(mine.rows).sort(), ["p3", "p4"]);
});

test("a claim that has run out does not hide a prompt, and hidden ones are counted", () => {
  const found = select(rows, query({ view: "unclaimed" }), viewer);
  assert.ok(ids(found.rows).includes("p2"));
  assert.ok(!ids(found.rows).includes("p1"));
  assert.equal(found.claimedByOthers, 1, "what is claimed by this person is no one else's");
  const filtered = select(rows, query({ search: "nothing like it" }), viewer);
  assert.equal(filtered.rows.length, 0);
  assert.equal(filtered.filtered, 7);
});

test("filters and the search narrow the list", () => {
  assert.deepEqual(ids(select(rows, query({ kinds: ["preview"] }), viewer).rows), ["p3"]);
  assert.deepEqual(ids(select(rows, query({ types: ["deploy"] }), viewer).rows), ["p9"]);
  assert.deepEqual(ids(select(rows, query({ labels: ["team=a"] }), viewer).rows), ["p4"]);
  assert.deepEqual(ids(select(rows, query({ search: "QUESTION 9 deploy" }), viewer).rows), ["p9"]);
});

test("the search finds a whole number in a title, not the digits of ids; a long part of an id finds it too", () => {
  const id = "01a22877-7348-738b-b7a1-4fbee19fb015";
  const some = [
    row(prompt(1, { promptId: id }, { title: "Restart 3?" })),
    row(prompt(2, { promptId: id.replace("015", "033") }, { title: "Restart 4?" })),
  ];
  const found = (search: string) => ids(select(some, query({ search }), viewer).rows);
  assert.deepEqual(found("restart 3"), [id]);
  assert.deepEqual(found("738b"), []);
  assert.deepEqual(found("e19fb033").length, 1);
  assert.deepEqual(found("4fbee19fb015"), [id]);
});

test("rows of a group follow each other, so keys go the way of the eyes; sizes count what is not drawn", () => {
  const some = [1, 2, 3, 4, 5].map((n) => row(prompt(n, { jobType: n % 2 === 0 ? "deploy" : "refund" })));
  const found = select(some, query({ group: "type", order: "newest" }), viewer).rows;
  assert.deepEqual(ids(found), ["p1", "p3", "p5", "p2", "p4"]);
  const rowsById = new Map(some.map((one) => [idOf(one.prompt), one]));
  const closed = row(prompt(6, { state: "PROMPT_STATE_ANSWERED" }));
  rowsById.set("p6", closed);
  const sizes = groupSizes([...rowsById.keys()], (id) => rowsById.get(id), "type");
  assert.deepEqual(
    [...sizes],
    [
      ["refund", 3],
      ["deploy", 2],
    ],
  );
});

test("the search knows both forms of an accent", () => {
  const some = [row(prompt(1, {}, { title: "Gr\u00f6\u00dfe" }))];
  assert.equal(select(some, query({ search: "GRO\u0308\u00dfe" }), viewer).rows.length, 1);
});

const none = new Set<string>();

test("while a person is in the list no row moves, and new ones wait", () => {
  const before = ["p1", "p2"];
  const fresh = [row(prompt(3, {}, { priority: 9 })), row(prompt(2)), row(prompt(1))];
  const held = arrange(before, fresh, true, none, NOW);
  assert.deepEqual(held, { ids: before, added: 1, urgent: 1, moved: true });
  const shown = arrange(before, fresh, false, none, NOW);
  assert.deepEqual(shown, { ids: ["p3", "p2", "p1"], added: 0, urgent: 0, moved: false });
});

test("a held list keeps the rows that closed", () => {
  const held = arrange(["p1", "p2"], [row(prompt(2))], true, none, NOW);
  assert.deepEqual(held.ids, ["p1", "p2"]);
  assert.equal(held.moved, false);
});

test("the selected row stays where it was although it left the view", () => {
  const fresh = [row(prompt(1)), row(prompt(3))];
  const found = arrange(["p1", "p2", "p3"], fresh, false, new Set(["p2"]), NOW);
  assert.deepEqual(found.ids, ["p1", "p2", "p3"]);
  assert.deepEqual(arrange(["p2", "p3"], fresh, false, new Set(["p2"]), NOW).ids, ["p2", "p1", "p3"]);
});

test("groups keep the order of the list", () => {
  const map = new Map(rows.map((one) => [idOf(one.prompt), one]));
  assert.deepEqual(grouped(["p9", "p4", "p1"], map, factOf("label:team")), [
    { name: "b", ids: ["p9"] },
    { name: "a", ids: ["p4"] },
    { name: "", ids: ["p1"] },
  ]);
  assert.deepEqual(grouped(["p9", "p4"], map, null), [{ name: "", ids: ["p9", "p4"] }]);
});

test("filters offer what open prompts have", () => {
  assert.deepEqual(facets(rows).kinds, ["confirm", "preview"]);
  assert.deepEqual(facets(rows).labels, ["team=a", "team=b"]);
});

test("every one of 10,000 prompts is either listed or counted as hidden", () => {
  const many = Array.from({ length: 10_000 }, (_, n) => row(prompt(n, {}, { body: "a text ".repeat(20) })));
  const found = select(many, query({ search: "question 99" }), viewer);
  assert.equal(found.rows.length, many.filter((_, n) => String(n).includes("99")).length);
  assert.equal(found.rows.length + found.filtered, 10_000);
});

test("similar questions stand where the most urgent of them stands, and the order is otherwise the same", () => {
  const of = (n: number, groupKey: string, priority = 0, jobType = "refund") =>
    row(prompt(n, { jobType }, { groupKey, priority }));
  const list = [
    of(1, "a"),
    of(2, ""),
    of(3, "b"),
    of(4, "a", 9),
    of(5, ""),
    of(6, "a", 0, "deploy"),
    of(7, "b"),
  ];
  assert.deepEqual(ids(select(list, query(), viewer).rows), ["p4", "p6", "p1", "p7", "p3", "p5", "p2"]);
  const byType = select(list, query({ group: "type" }), viewer);
  assert.deepEqual(ids(byType.rows), ["p4", "p1", "p7", "p3", "p5", "p2", "p6"]);
});

test("rows without a group key, or alone with theirs, are similar to none; closed ones are not counted", () => {
  const of = (n: number, groupKey: string, more: Partial<Row> = {}) =>
    [`p${n}`, row(prompt(n, {}, { groupKey }), more)] as const;
  const known = new Map([
    of(1, ""),
    of(2, ""),
    of(3, "a"),
    of(4, "a", { removed: true }),
    of(5, "a"),
    of(6, "b"),
  ]);
  const found = similarRows([...known.keys()], known, "p4");
  const similar = { name: "a", first: "p3", open: ["p3", "p5"], isActive: true };
  assert.deepEqual(
    [...found],
    ["p3", "p4", "p5"].map((id) => [id, similar]),
  );
});
