// Earlier and other questions of the same job, with their answers.

import { useSignal } from "@preact/signals";
import { Plain } from "../content";
import type { AnswerSource, Prompt } from "../wire/messages";
import type { LaterKey } from "../words";
import { rich, t } from "../words/later";
import { AnswerValues } from "./answer_values";
import { progressText } from "./approval_line";
import { reachNames } from "./audience";
import { errorText } from "./errors";
import { answeredBy, decidedWords, kindWords } from "./labels";
import { usePage } from "./page";
import { PlaceLink } from "./place_link";
import { claimant, idOf, instant } from "./prompt_facts";
import { RuleRef } from "./rules/rule_ref";
import { halfMinute, MINUTE, span } from "./times";
import { Name, Time } from "./ui";

type State =
  | { readonly kind: "idle" | "loading" }
  | { readonly kind: "ready"; readonly prompts: readonly Prompt[] }
  | { readonly kind: "failed"; readonly text: string };

const CLOSED = [
  "PROMPT_STATE_ANSWERED",
  "PROMPT_STATE_EXPIRED",
  "PROMPT_STATE_CANCELLED",
  "PROMPT_STATE_SUPERSEDED",
] as const;

/** The rounds before this one. They are read when the person opens the section. */
export function Rounds({ prompt }: { readonly prompt: Prompt }) {
  const { inbox } = usePage();
  const state = useSignal<State>({ kind: "idle" });
  if ((prompt.round ?? 1) <= 1) return null;
  const load = async () => {
    if (state.peek().kind === "ready" || state.peek().kind === "loading") return;
    state.value = { kind: "loading" };
    try {
      const reply = await inbox.call("HitlService/ListPrompts", {
        namespace: prompt.namespace ?? "",
        filter: { jobId: prompt.jobId ?? "", states: [...CLOSED] },
        pageSize: 100,
      });
      const earlier = (reply.prompts ?? []).filter((one) => idOf(one) !== idOf(prompt));
      earlier.sort((one, other) => (one.round ?? 0) - (other.round ?? 0));
      state.value = { kind: "ready", prompts: earlier };
    } catch (error) {
      state.value = { kind: "failed", text: errorText(error) };
    }
  };
  const now = state.value;
  return (
    <details
      class="section"
      onToggle={(event) => {
        if (event.currentTarget.open) void load();
      }}
    >
      <summary>{t("rounds.title")}</summary>
      {now.kind === "loading" ? <p>{t("loading")}</p> : null}
      {now.kind === "failed" ? <p class="error-note">{now.text}</p> : null}
      {now.kind === "ready" ? (
        now.prompts.length === 0 ? (
          <p>{t("rounds.none")}</p>
        ) : (
          <ol class="rounds">
            {now.prompts.map((one) => (
              <RoundItem key={idOf(one)} prompt={one} now={inbox.now()} />
            ))}
          </ol>
        )
      ) : null}
    </details>
  );
}

/** Who is asked, for how long and until when, and whether one of them is there. */
function WaitsFor({ prompt, now }: { readonly prompt: Prompt; readonly now: number }) {
  halfMinute.value;
  const asked = instant(prompt.createTime) ?? now;
  const deadline = instant(prompt.expireTime);
  const missing = instant(prompt.unattendedTime);
  const holder = claimant(prompt, now);
  const names = reachNames(prompt) || t("rounds.everyone");
  const progress = progressText(prompt);
  const since = (at: number) => span(now - at, { seconds: false });
  return (
    <>
      {rich("rounds.open", { names: <Name text={names} />, span: since(asked) })}
      {", "}
      {deadline === undefined
        ? t("rounds.no_deadline")
        : rich("rounds.until", { time: <Time at={deadline} now={now} /> })}
      {". "}
      {progress === "" ? null : `${progress}. `}
      {holder === "" ? null : <>{rich("row.claim", { name: <Name text={holder} /> })}. </>}
      {missing === undefined
        ? t("rounds.attended")
        : now - missing < MINUTE
          ? t("rounds.absent")
          : t("rounds.unattended", { span: since(missing) })}
    </>
  );
}

/** How an answer came about, where no person simply gave it. */
const ANSWERED: { readonly [source in AnswerSource]?: LaterKey } = {
  ANSWER_SOURCE_OVERRIDE: "rounds.overridden",
  ANSWER_SOURCE_RULE: "rounds.ruled",
};

/** A question with what became of it. */
export function RoundItem({ prompt, now }: { readonly prompt: Prompt; readonly now: number }) {
  const answer = prompt.resolution?.answer;
  const at = instant(prompt.resolution?.time);
  const id = idOf(prompt);
  return (
    <li>
      <p class="round-title">
        <span class="kind">{kindWords(prompt.content?.kind)}</span>
        <PlaceLink place={{ view: "prompt", promptId: id }}>
          <Plain text={prompt.content?.title ?? ""} />
        </PlaceLink>
      </p>
      <p class="round-answer">
        {prompt.state === "PROMPT_STATE_PENDING" ? (
          <WaitsFor prompt={prompt} now={now} />
        ) : answer === undefined ? (
          t("rounds.unanswered")
        ) : (
          rich(ANSWERED[answer.source ?? "ANSWER_SOURCE_UNSPECIFIED"] ?? "rounds.answer", {
            done: (
              <strong>
                <Name text={decidedWords(prompt, answer.decision)} />
              </strong>
            ),
            name: <Name text={answeredBy(answer) || t("default_answer")} />,
            time: at === undefined ? "" : <Time at={at} now={now} />,
            rule: <RuleRef made={answer} />,
          })
        )}
        {(answer?.batchId ?? "") === "" ? "" : ` ${t("closed.joint")}`}
      </p>
      {(answer?.comment ?? "") === "" ? null : (
        <blockquote>
          <Plain text={answer?.comment ?? ""} />
        </blockquote>
      )}
      {(answer?.valuesJson ?? "") === "" ? null : (
        <AnswerValues content={prompt.content ?? {}} values={answer?.valuesJson ?? ""} />
      )}
    </li>
  );
}
