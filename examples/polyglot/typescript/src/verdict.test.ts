// Only a yes counts as a yes: tests every state with every decision, with zero values and unknown ones.
import { create } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { test } from "node:test";
import { answerTo } from "./askback/line.js";
import { authorises, byDefault, ending, valuesOf } from "./askback/verdict.js";
import { Decision, type Prompt, PromptSchema, PromptState } from "./gen/askback/v1/prompt_pb.js";

/** The number of a decision and of a state of a newer server. */
const UNKNOWN = 99;

function numbersOf(of: Record<string, string | number>): number[] {
  return [UNKNOWN, ...Object.values(of).filter((value) => typeof value === "number")];
}

function ended(state: number, decision?: number): Prompt {
  const answer = decision === undefined ? undefined : { decision, valuesJson: "{}" };
  return create(PromptSchema, { state, resolution: { state, answer } });
}

test("only an answer that accepts authorises", () => {
  for (const state of numbersOf(PromptState)) {
    for (const decision of numbersOf(Decision)) {
      const answered = state === PromptState.ANSWERED;
      const yes = decision === Decision.ACCEPT || decision === Decision.EDIT;
      const prompt = ended(state, decision);
      assert.equal(authorises(prompt), answered && yes, `${state}/${decision}`);
      assert.equal(valuesOf(prompt) !== undefined, answered && (yes || decision === Decision.RESPOND));
    }
  }
});

test("what is not there authorises nothing", () => {
  const answered = PromptState.ANSWERED;
  for (const prompt of [undefined, create(PromptSchema), create(PromptSchema, { state: answered }), ended(answered)]) {
    assert.equal(authorises(prompt), false);
    assert.equal(byDefault(prompt), false);
    assert.equal(valuesOf(prompt), undefined);
  }
});

test("how it ended", () => {
  assert.equal(ending(ended(PromptState.EXPIRED)), "EXPIRED");
  assert.equal(ending(ended(PromptState.ANSWERED, Decision.REJECT)), "REJECT");
  assert.equal(ending(ended(PromptState.ANSWERED, Decision.UNSPECIFIED)), "UNSPECIFIED");
  assert.equal(ending(ended(PromptState.ANSWERED, UNKNOWN)), "99");
});

test("only a yes and values are answers", () => {
  const offering = (schema: boolean, ...decisions: number[]) =>
    create(PromptSchema, {
      content: {
        decisions: decisions.map((decision) => ({ decision })),
        form: schema ? { case: "schemaJson", value: "{}" } : { case: undefined },
      },
    });
  const { ACCEPT, REJECT, RESPOND } = Decision;
  const confirm = offering(false, ACCEPT, REJECT);
  const clarify = offering(true, RESPOND);
  const newer = offering(true, Decision.UNSPECIFIED, UNKNOWN);
  const lines: [Prompt, string, number | undefined][] = [
    [confirm, "yes", ACCEPT],
    [confirm, "no", REJECT],
    [confirm, "", undefined],
    [confirm, "maybe", undefined],
    [confirm, "{}", undefined],
    [clarify, '{"n": 1}', RESPOND],
    [clarify, "", undefined],
    [offering(true, ACCEPT, REJECT), '{"n": 1}', ACCEPT],
    [newer, "", undefined],
    [newer, "99", undefined],
    [newer, "no", REJECT],
  ];
  for (const [prompt, line, decision] of lines) assert.equal(answerTo(prompt, line)?.decision, decision, line);
});
