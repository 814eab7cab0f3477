import assert from "node:assert/strict";
import { test } from "node:test";
import { bulkDecisions, bulkRow } from "../src/view/bulk_rules";
import { contentOf, showsSame } from "../src/view/prompt_facts";
import { at, NOW, offer, prompt, row } from "./prompts_of_tests";

const shown = prompt(1);
const ana = { signedIn: true, subject: "ana" };
const plan = (now: Parameters<typeof bulkRow>[1], comment = "") =>
  bulkRow(shown, now, "DECISION_ACCEPT", comment, ana, NOW);

test("a bulk decision goes to what the table shows, and to nothing else", () => {
  assert.equal(plan(row(shown)).option?.decision, "DECISION_ACCEPT");
  assert.equal(plan(undefined).leftOut, "closed");
  assert.equal(plan(row({ ...shown, state: "PROMPT_STATE_ANSWERED" })).leftOut, "closed");
  assert.equal(plan(row({ ...shown, revision: 2 })).leftOut, "changed");
  const seen = { ...shown, shownDigest: "a" };
  const other = row({ ...shown, shownDigest: "b" });
  assert.equal(bulkRow(seen, other, "DECISION_ACCEPT", "", ana, NOW).leftOut, "changed");
  const claimed = { ...shown, claimedBy: "bob", claimExpireTime: at(1) };
  assert.equal(plan(row(claimed)).leftOut, "claimed");
  assert.equal(
    bulkRow(shown, row(claimed), "DECISION_ACCEPT", "", { ...ana, subject: "bob" }, NOW).leftOut,
    undefined,
  );
});

test("an answer is about the revision and the digest of what was painted", () => {
  assert.deepEqual(contentOf({ ...shown, shownDigest: "a" }), { revision: 1, shownDigest: "a" });
  assert.deepEqual(contentOf(shown), { revision: 1 }, "a service without digests");
  const same = (left: string | undefined, right: string | undefined, revision = 1) =>
    showsSame(
      { ...shown, ...(left === undefined ? {} : { shownDigest: left }) },
      { ...shown, revision, ...(right === undefined ? {} : { shownDigest: right }) },
    );
  assert.deepEqual([same("a", "a"), same("a", undefined), same(undefined, "b")], [true, true, true]);
  assert.deepEqual([same("a", "b"), same("a", "a", 2), same(undefined, undefined, 2)], [false, false, false]);
});

test("a prompt is left out where the decision is not offered, has a form, or lacks its comment", () => {
  const revise = bulkRow(shown, row(shown), "DECISION_REVISE", "", ana, NOW);
  assert.equal(revise.leftOut, "not_offered");
  const form = prompt(2, {}, { schemaJson: "{}" });
  assert.equal(bulkRow(form, row(form), "DECISION_ACCEPT", "", ana, NOW).leftOut, "form");
  assert.equal(bulkRow(form, row(form), "DECISION_REJECT", "", ana, NOW).leftOut, undefined);
  const strict = prompt(3, {}, { decisions: [offer("DECISION_REJECT", { commentRequired: true })] });
  assert.equal(bulkRow(strict, row(strict), "DECISION_REJECT", " ", ana, NOW).leftOut, "comment");
  assert.equal(bulkRow(strict, row(strict), "DECISION_REJECT", "no", ana, NOW).leftOut, undefined);
});

test("only decisions that need no single work are offered together", () => {
  const found = bulkDecisions([
    prompt(1, {}, { decisions: [offer("DECISION_ACCEPT"), offer("DECISION_EDIT")] }),
    prompt(2, {}, { schemaJson: "{}", decisions: [offer("DECISION_ACCEPT"), offer("DECISION_REJECT")] }),
  ]);
  assert.deepEqual(
    [...found],
    [
      ["DECISION_ACCEPT", 1],
      ["DECISION_REJECT", 1],
    ],
  );
});

test("a prompt is left out where the person may not answer, or their vote would not count", () => {
  const excluding = prompt(4, {}, { exclude: { users: ["ana"] } });
  assert.equal(bulkRow(excluding, row(excluding), "DECISION_ACCEPT", "", ana, NOW).leftOut, "not_for");
  const approval = { required: 1, perGroup: [{ group: "release", required: 1 }] };
  const options = [offer("DECISION_ACCEPT"), offer("DECISION_REJECT")];
  const release = prompt(5, {}, { approval, decisions: options });
  assert.equal(bulkRow(release, row(release), "DECISION_ACCEPT", "", ana, NOW).leftOut, "not_for");
  assert.equal(bulkRow(release, row(release), "DECISION_REJECT", "", ana, NOW).leftOut, undefined);
});
