import assert from "node:assert/strict";
import { test } from "node:test";
import type { Draft, Drafts } from "../src/model/drafts";
import type { Submission } from "../src/model/inbox";
import { workOf } from "../src/view/work";
import { Works } from "../src/view/works";
import "../src/words/later";
import { prompt } from "./prompts_of_tests";

/** The work on a prompt with a text that may be edited, and the drafts that it keeps. */
function begin() {
  const kept = new Map<string, Draft>();
  const drafts = {
    load: async () => null,
    save: (id: string, draft: Draft) => void kept.set(id, draft),
    discard: async (id: string) => void kept.delete(id),
    remove: async (id: string) => void kept.delete(id),
  } as unknown as Drafts;
  const plan = { contentId: "plan", text: "one", editable: true };
  const shown = prompt(1, {}, { contents: [plan], approval: { required: 2 } });
  return { work: workOf(new Works(drafts), shown), shown, kept };
}

const recorded = (): Submission => ({ state: "recorded", replayed: false, prompt: {} });

test("what was voted is no unsent text, and what is typed later is", () => {
  const { work, kept } = begin();
  work.setEdit("plan", "two");
  work.setComment("why");
  assert.deepEqual([work.hasText, kept.size], [true, 1]);
  work.finish(recorded());
  assert.deepEqual([work.comment.peek(), work.edits.peek()], ["", { plan: "two" }]);
  assert.deepEqual([work.hasText, kept.size], [false, 0]);
  work.setEdit("plan", "three");
  assert.deepEqual([work.hasText, kept.size], [true, 1]);
});

test("one verdict is taken once: a comment that was begun since stays", () => {
  const { work } = begin();
  const verdict = recorded();
  work.finish(verdict);
  work.setComment("on second thought");
  work.finish(verdict);
  assert.equal(work.comment.peek(), "on second thought");
  work.finish(recorded());
  assert.equal(work.comment.peek(), "");
});

test("after a withdrawal what is typed is unsent again, and kept", () => {
  const { work, kept } = begin();
  work.setEdit("plan", "two");
  work.finish(recorded());
  work.withdraw();
  assert.deepEqual([work.hasText, kept.size], [true, 1]);
});

test("what is typed for a new version is unsent, also where it is what was voted before", () => {
  const { work, shown } = begin();
  work.setEdit("plan", "two");
  work.finish(recorded());
  work.review({ ...shown, revision: 2 });
  assert.equal(work.hasText, false);
  work.setEdit("plan", "two");
  assert.equal(work.hasText, true);
});
