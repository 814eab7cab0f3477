import assert from "node:assert/strict";
import { test } from "node:test";
import type { Row } from "../src/model/inbox";
import { alertWords } from "../src/view/alert_words";
import { Arrivals } from "../src/view/arrivals";
import { oneLine } from "../src/view/one_line";
import { idOf } from "../src/view/prompt_facts";
import { at, NOW, prompt, row } from "./prompts_of_tests";

const viewer = { subject: "ana", now: NOW };
const rows = (...all: readonly Row[]) => new Map(all.map((one) => [idOf(one.prompt), one]));
const unseen = (arrivals: Arrivals) => arrivals.unseen.map(idOf);

test("the first live view is no news, and what comes after it is", () => {
  const arrivals = new Arrivals();
  arrivals.take(rows(row(prompt(1))), false, viewer);
  assert.deepEqual(arrivals.take(rows(row(prompt(1)), row(prompt(2))), true, viewer), []);
  assert.deepEqual(unseen(arrivals), []);
  const added = arrivals.take(rows(row(prompt(1)), row(prompt(2)), row(prompt(3))), true, viewer);
  assert.deepEqual(
    added.map((one) => idOf(one.prompt)),
    ["p3"],
  );
  assert.deepEqual(unseen(arrivals), ["p3"]);
});

test("a catch-up is counted once, when the view is complete, and without what was closed in between", () => {
  const arrivals = new Arrivals();
  arrivals.take(rows(row(prompt(1))), true, viewer);
  const half = rows(row(prompt(1)), row(prompt(2)));
  assert.deepEqual(arrivals.take(half, false, viewer), []);
  assert.deepEqual(unseen(arrivals), []);
  const complete = rows(row(prompt(1)), row(prompt(2), { removed: true }), row(prompt(3)), row(prompt(4)));
  assert.equal(arrivals.take(complete, true, viewer).length, 2);
  assert.deepEqual(unseen(arrivals), ["p3", "p4"]);
});

test("a prompt that a person cannot act on is no news, or not any more", () => {
  const arrivals = new Arrivals();
  arrivals.take(rows(), true, viewer);
  const claimed = row(prompt(1, { claimedBy: "bob", claimExpireTime: at(5) }));
  const own = row(prompt(2, { claimedBy: "ana", claimExpireTime: at(5) }));
  const mute = row(prompt(3, {}, { decisions: [] }));
  arrivals.take(rows(claimed, own, mute, row(prompt(4)), row(prompt(5))), true, viewer);
  assert.deepEqual(unseen(arrivals), ["p2", "p4", "p5"]);
  arrivals.take(rows(own, row(prompt(4, { claimedBy: "bob", claimExpireTime: at(5) }))), true, viewer);
  assert.deepEqual(unseen(arrivals), ["p2"], "claimed by another, and gone");
  arrivals.take(rows(row(prompt(2, { state: "PROMPT_STATE_ANSWERED" }))), true, viewer);
  assert.deepEqual(unseen(arrivals), []);
});

test("an amended prompt is the same prompt, in its new words", () => {
  const arrivals = new Arrivals();
  arrivals.take(rows(), true, viewer);
  arrivals.take(rows(row(prompt(1))), true, viewer);
  const added = arrivals.take(rows(row(prompt(1, { revision: 2 }, { title: "New words" }))), true, viewer);
  assert.deepEqual(added, []);
  assert.deepEqual(
    arrivals.unseen.map((one) => one.content?.title),
    ["New words"],
  );
  arrivals.see();
  arrivals.take(rows(row(prompt(1, { revision: 3 }))), true, viewer);
  assert.deepEqual(unseen(arrivals), []);
});

test("a notification has the title and the kind, and how many wait; nothing else of the prompt", () => {
  const secret = { body: "the password is 1234", labels: { key: "secret" } };
  const one = prompt(1, { requestedBy: "carl" }, { title: "Pay\u202e\n 5 €?", ...secret });
  assert.deepEqual(alertWords([one], 3), {
    title: "Pay<U+202E> 5 €?",
    body: "Confirmation · 3 questions wait",
  });
  assert.deepEqual(alertWords([one], 1).body, "Confirmation");
  const many = [1, 2, 3, 4, 5].map((n) =>
    prompt(n, {}, { kind: n === 2 ? "odd\u202ekind" : "confirm", ...secret }),
  );
  assert.deepEqual(alertWords(many, 9), {
    title: "5 new questions",
    body: "Question 1 (Confirmation)\nQuestion 2 (odd<U+202E>kind)\nQuestion 3 (Confirmation)\nand 2 more",
  });
});

test("one line is cut between letters, with a mark", () => {
  assert.equal(oneLine("👍👍👍", 3), "👍👍👍");
  assert.equal(oneLine("👍👍👍👍", 3), "👍👍…");
  assert.equal(oneLine("a\t\n b", 10), "a b");
});
