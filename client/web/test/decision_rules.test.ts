import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Gate,
  hindranceOf,
  isUsualLabel,
  type Question,
  type Situation,
  stepOf,
} from "../src/view/decision_rules";

const calm: Situation = {
  comment: "",
  commentRequired: false,
  hasProblems: false,
  isChanged: false,
  isEdited: false,
  hasUnseen: false,
  confirmed: new Set(),
};
const confirmed = (...questions: Question[]) => ({ confirmed: new Set(questions) });

test("an approval of what was seen needs one press", () => {
  assert.deepEqual(stepOf("DECISION_ACCEPT", calm), { kind: "send" });
});

test("an approval of what was not seen is asked about once", () => {
  const now = { ...calm, hasUnseen: true };
  assert.deepEqual(stepOf("DECISION_ACCEPT", now), { kind: "confirm", question: "unseen" });
  assert.deepEqual(stepOf("DECISION_ACCEPT", { ...now, ...confirmed("unseen") }), { kind: "send" });
  assert.deepEqual(stepOf("DECISION_RESPOND", now), { kind: "confirm", question: "unseen" });
  assert.deepEqual(stepOf("DECISION_REJECT", { ...now, comment: "no" }), { kind: "send" });
});

test("a no needs a reason or a second press", () => {
  for (const decision of ["DECISION_REJECT", "DECISION_DISMISS"] as const) {
    assert.deepEqual(stepOf(decision, calm), { kind: "confirm", question: "no_reason" });
    assert.deepEqual(stepOf(decision, { ...calm, comment: "  " }), {
      kind: "confirm",
      question: "no_reason",
    });
    assert.deepEqual(stepOf(decision, { ...calm, comment: "too dear" }), { kind: "send" });
    assert.deepEqual(stepOf(decision, { ...calm, ...confirmed("no_reason") }), { kind: "send" });
  }
});

test("a required comment cannot be confirmed away", () => {
  const now = { ...calm, commentRequired: true, ...confirmed("no_reason", "unseen", "edits_dropped") };
  assert.deepEqual(stepOf("DECISION_REVISE", now), { kind: "comment" });
  assert.deepEqual(stepOf("DECISION_REJECT", now), { kind: "comment" });
  assert.deepEqual(stepOf("DECISION_REVISE", { ...now, comment: "shorter" }), { kind: "send" });
});

test("values are asked for only by decisions that take them", () => {
  const now = { ...calm, hasProblems: true, comment: "x" };
  assert.deepEqual(stepOf("DECISION_RESPOND", now), { kind: "problems" });
  assert.deepEqual(stepOf("DECISION_ACCEPT", now), { kind: "problems" });
  assert.deepEqual(stepOf("DECISION_REJECT", now), { kind: "send" });
  assert.deepEqual(stepOf("DECISION_REVISE", now), { kind: "send" });
});

test("an edit needs a change, and a plain approval does not drop one silently", () => {
  assert.deepEqual(stepOf("DECISION_EDIT", calm), { kind: "edit" });
  const edited = { ...calm, isChanged: true, isEdited: true };
  assert.deepEqual(stepOf("DECISION_EDIT", edited), { kind: "send" });
  assert.deepEqual(stepOf("DECISION_ACCEPT", edited), { kind: "confirm", question: "edits_dropped" });
  assert.deepEqual(stepOf("DECISION_ACCEPT", { ...edited, hasUnseen: true, ...confirmed("edits_dropped") }), {
    kind: "confirm",
    question: "unseen",
  });
});

const open: Gate = {
  isSending: false,
  isOpen: true,
  isChanged: false,
  isExcluded: false,
  isSignedOut: false,
  canDecide: true,
  isFor: true,
  isClaimedByOther: false,
  hasChosen: false,
};

test("nothing can be decided while anything stands in the way", () => {
  assert.equal(hindranceOf(open), null);
  assert.equal(hindranceOf({ ...open, isSending: true, isOpen: false }), "sending");
  assert.equal(hindranceOf({ ...open, isOpen: false }), "closed");
  assert.equal(hindranceOf({ ...open, isChanged: true, isClaimedByOther: true }), "changed");
  assert.equal(hindranceOf({ ...open, isExcluded: true, isClaimedByOther: true, isFor: false }), "excluded");
  assert.equal(hindranceOf({ ...open, isSignedOut: true, canDecide: false }), "signed_out");
  assert.equal(hindranceOf({ ...open, canDecide: false }), "offline");
  assert.equal(hindranceOf({ ...open, isClaimedByOther: true, hasChosen: true }), "claimed");
  assert.equal(hindranceOf({ ...open, isFor: false, isClaimedByOther: true }), "not_for");
  assert.equal(hindranceOf({ ...open, hasChosen: true }), "chosen");
});

test("a label that is not usual cannot pass for another decision", () => {
  assert.equal(isUsualLabel("DECISION_ACCEPT", " Confirm "), true);
  assert.equal(isUsualLabel("DECISION_ACCEPT", "Do nothing"), false);
  assert.equal(isUsualLabel("DECISION_REJECT", "Yes"), false);
});
