// Words for the contract's names: kinds, decisions, states.

import { type Key, isKey, labelWords, language, t } from "../words";
import type { Answer, Decision, DecisionOption, Prompt } from "../wire/messages";
import { isUsualLabel } from "./decision_rules";
import { saysMore } from "./prompt_facts";
import type { IconName } from "./ui";

/** What kind of question it is, for people. A kind of the asker's own stays as it is. */
export function kindWords(kind: string | undefined): string {
  const key = `kind.${kind ?? ""}`;
  return isKey(key) ? t(key) : (kind ?? "");
}

/** The type of a job, for people. */
export function typeWords(jobType: string | undefined): string {
  return saysMore(jobType) ? (jobType ?? "") : t("type.single");
}

const VERBS: Record<Decision, Key> = {
  DECISION_UNSPECIFIED: "decision.unknown",
  DECISION_ACCEPT: "decision.accept",
  DECISION_EDIT: "decision.edit",
  DECISION_RESPOND: "decision.respond",
  DECISION_REVISE: "decision.revise",
  DECISION_REJECT: "decision.reject",
  DECISION_DISMISS: "decision.dismiss",
};

/** The verb of a decision: `Approve`. */
export function verbOf(decision: Decision): string {
  return t(VERBS[decision]);
}

/**
 * The name of a decision on its button: the asker's label, behind the verb where the label does not say it all to this
 * reader. The labels that the service fills in are said in the language of the page; with another English label, a page in
 * another language says the verb too.
 */
export function decisionWords(option: DecisionOption): { readonly verb: string; readonly label: string } {
  const decision = option.decision ?? "DECISION_UNSPECIFIED";
  const label = (option.label ?? "").trim();
  if (label === "") return { verb: verbOf(decision), label: "" };
  const words = labelWords(label);
  return isUsualLabel(decision, label) && (language() === "en" || words !== label)
    ? { verb: words, label: "" }
    : { verb: verbOf(decision), label };
}

/** The name of a decision in a sentence: the asker's label, or the verb. */
export function nameOf(option: DecisionOption): string {
  const { verb, label } = decisionWords(option);
  return label || verb;
}

/** The decision of an answer as its button named it: what a person pressed is what is said afterwards. */
export function decidedWords(prompt: Prompt, decision: Decision = "DECISION_UNSPECIFIED"): string {
  const option = prompt.content?.decisions?.find((one) => one.decision === decision);
  const { verb, label } = decisionWords(option ?? { decision });
  return label === "" ? verb : `${verb} (${label})`;
}

/** What is said when an answer was accepted. */
export function acceptedText(prompt: Prompt): string {
  return t("verdict.accepted", { done: decidedWords(prompt, prompt.resolution?.answer?.decision) });
}

/** Who gave an answer, and in whose place: `ben on behalf of ana`. Empty: no person. `by` stands for the name. */
export function answeredBy(answer: Answer | undefined, by = answer?.userId ?? ""): string {
  const name = answer?.onBehalfOf ?? "";
  return name === "" ? by : t("row.by_behalf", { by, name });
}

type Tone = "yes" | "no" | "plain";

const LOOKS: Record<Decision, { readonly icon: IconName; readonly tone: Tone }> = {
  DECISION_UNSPECIFIED: { icon: "minus", tone: "plain" },
  DECISION_ACCEPT: { icon: "check", tone: "yes" },
  DECISION_EDIT: { icon: "pencil", tone: "plain" },
  DECISION_RESPOND: { icon: "reply", tone: "yes" },
  DECISION_REVISE: { icon: "redo", tone: "plain" },
  DECISION_REJECT: { icon: "cross", tone: "no" },
  DECISION_DISMISS: { icon: "minus", tone: "plain" },
};

/** The picture and the tone of a decision. */
export function looksOf(decision: Decision): { readonly icon: IconName; readonly tone: Tone } {
  return LOOKS[decision];
}
