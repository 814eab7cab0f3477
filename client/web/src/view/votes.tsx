// What people have voted for on a prompt with an approval, with the ways to vote for it too and to withdraw.

import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { DiffView, Plain } from "../content";
import type { Row } from "../model/inbox";
import type { Prompt, Vote } from "../wire/messages";
import type { LaterKey } from "../words";
import { rich, t } from "../words/later";
import { AnswerValues } from "./answer_values";
import { hindrance, isInVain, unseenLines } from "./deciding";
import { decidedWords, looksOf, nameOf } from "./labels";
import { announce } from "./live";
import { subjectOf, usePage } from "./page";
import {
  authorises,
  contentOf,
  decisionsOf,
  hasForm,
  instant,
  isOpen,
  resolutionOf,
  voteOf,
} from "./prompt_facts";
import { RuleRef } from "./rules/rule_ref";
import { disturb, isSteadyClick, unsteady } from "./steady";
import { Icon, Name, Time } from "./ui";
import { deciding, isVote, missingText, type Outcome, outcomesOf } from "./vote_facts";
import { Withdraw } from "./withdraw";
import type { Work } from "./work";

interface VotesProps {
  readonly row: Row;
  readonly work: Work;
}

/** The text as it was asked: what an approval without changes is for, once others have proposed changes. */
const ORIGINAL: Outcome = {
  outcome: "",
  decision: "DECISION_ACCEPT",
  votes: 0,
  voters: [],
  proposal: {},
};

export function Votes({ row, work }: VotesProps) {
  const open = isOpen(row);
  const prompt = useComplete(row);
  useNews(row.prompt);
  const { approval } = prompt.content ?? {};
  const outcomes = outcomesOf(prompt);
  if (approval === undefined || outcomes.length === 0) return null;
  const offersOriginal =
    open &&
    !hasForm(prompt) &&
    decisionsOf(prompt).some((one) => one.decision === "DECISION_ACCEPT") &&
    !outcomes.some((one) => one.decision === "DECISION_ACCEPT");
  const resolution = resolutionOf(row);
  const decided = deciding(prompt, resolution);
  return (
    <section class="votes" id="votes" aria-labelledby="votes-title" tabIndex={-1}>
      <h2 id="votes-title">{t("votes.title")}</h2>
      {resolution?.answer?.source === "ANSWER_SOURCE_OVERRIDE" ? <p>{t("votes.overridden")}</p> : null}
      <ul class="outcomes">
        {[...outcomes, ...(offersOriginal ? [{ ...ORIGINAL, required: approval.required ?? 1 }] : [])].map(
          (outcome) => (
            <OutcomeItem
              key={outcome.outcome}
              prompt={prompt}
              outcome={outcome}
              isDecided={outcome.outcome === decided?.outcome}
              {...{ row, work }}
            />
          ),
        )}
      </ul>
    </section>
  );
}

/** The prompt with all its votes: the news that it is closed come without the one that closed it. */
function useComplete(row: Row): Prompt {
  const { inbox } = usePage();
  const found = useSignal<Prompt | null>(null);
  const { prompt } = row;
  const answer = resolutionOf(row)?.answer;
  const isMissing =
    prompt.content?.approval !== undefined &&
    answer !== undefined &&
    isVote(answer) &&
    deciding(prompt, resolutionOf(row)) === undefined;
  useEffect(() => {
    if (!isMissing) return;
    inbox.call("HitlService/GetPrompt", { promptId: prompt.promptId ?? "" }).then(
      (reply) => {
        found.value = reply.prompt ?? null;
      },
      // What is known of the votes stays on the screen.
      () => undefined,
    );
  }, [isMissing, inbox, prompt.promptId]);
  return isMissing ? (found.value ?? prompt) : prompt;
}

/** Votes that come while the prompt is on the screen are spoken, and buttons that may move wait. */
function useNews(prompt: Prompt): void {
  const page = usePage();
  const known = useRef<ReadonlySet<string> | null>(null);
  const votes = prompt.votes ?? [];
  const ids = votes.map((one) => one.answerId ?? "");
  useLayoutEffect(() => {
    const before = known.current;
    known.current = new Set(ids);
    if (before === null) return;
    disturb();
    for (const vote of votes) {
      if (before.has(vote.answerId ?? "") || vote.userId === subjectOf(page)) continue;
      const done = decidedWords(prompt, vote.decision);
      announce(t("votes.voted", { name: vote.userId ?? "", done }));
    }
  }, [ids.join(" ")]);
}

interface OutcomeProps extends VotesProps {
  readonly prompt: Prompt;
  readonly outcome: Outcome;
  readonly isDecided: boolean;
}

function OutcomeItem({ row, work, prompt, outcome, isDecided }: OutcomeProps) {
  const { decision = "DECISION_UNSPECIFIED", votes = 0, required = votes, voters } = outcome;
  const missing = missingText(outcome.missing);
  const [first] = voters;
  const what = first === undefined || isOriginal(outcome) ? "" : (first.userId ?? "");
  return (
    <li class={`outcome${isDecided ? " is-decided" : ""}`} data-outcome={decision}>
      <p class="outcome-head">
        <Icon name={looksOf(decision).icon} />
        <strong>
          <Name text={decidedWords(prompt, decision)} />
        </strong>
        {!authorises(decision) ? null : (
          <span>
            {what === ""
              ? t("votes.original")
              : rich("votes.changed", { name: <Name key={what} text={what} /> })}
          </span>
        )}
        <span class="outcome-count">
          {countText(votes, required)}
          {!isOpen(row) || missing === "" ? "" : ` · ${missing}`}
        </span>
        {isDecided ? <span class="mark">{t("votes.decided")}</span> : null}
      </p>
      <Proposal prompt={prompt} outcome={outcome} />
      {voters.length === 0 ? null : (
        <ul class="voters">
          {voters.map((vote) => (
            <Voter key={vote.answerId} row={row} work={work} vote={vote} />
          ))}
        </ul>
      )}
      {isOpen(row) && authorises(decision) ? <VoteFor {...{ row, work, outcome }} /> : null}
    </li>
  );
}

function countText(votes: number, required: number): string {
  if (votes === 0) return t("votes.none");
  return votes < required ? t("votes.count", { done: votes, n: required }) : t("votes.total", { n: votes });
}

/** Whether an outcome approves what was asked, without changes and values. */
function isOriginal({ proposal: { valuesJson = "", edits = [] } }: Outcome): boolean {
  return edits.length === 0 && valuesJson === "";
}

/** What an outcome changes, and its values. */
function Proposal({ prompt, outcome }: { readonly prompt: Prompt; readonly outcome: Outcome }) {
  const { valuesJson = "", edits = [] } = outcome.proposal;
  const parts = prompt.content?.contents ?? [];
  return (
    <>
      {edits.map((edit) => {
        const part = parts.find((one) => one.contentId === edit.contentId);
        return (
          <div key={edit.contentId} class="proposal">
            <h3>
              <Plain text={part?.title || (edit.contentId ?? "")} />
            </h3>
            <DiffView before={part?.text ?? ""} after={edit.text ?? ""} />
          </div>
        );
      })}
      {valuesJson === "" ? null : <AnswerValues content={prompt.content ?? {}} values={valuesJson} />}
    </>
  );
}

function Voter({ row, work, vote }: VotesProps & { readonly vote: Vote }) {
  const page = usePage();
  const isMine = vote.userId === subjectOf(page);
  const at = instant(vote.createTime);
  const { groups = [], comment = "", onBehalfOf: behalf = "" } = vote;
  return (
    <li data-vote={vote.userId}>
      <p>
        <strong>
          <Name text={vote.userId ?? ""} />
        </strong>
        {groups.length === 0 ? null : (
          <small>
            <Name text={groups.join(", ")} />
          </small>
        )}
        {behalf === "" ? null : <span>{rich("row.behalf", { name: <Name text={behalf} /> })}</span>}
        {(vote.ruleId ?? "") === "" ? null : (
          <span>{rich("votes.ruled", { rule: <RuleRef made={vote} /> })}</span>
        )}
        {at === undefined ? null : <Time at={at} now={page.inbox.now()} />}
        {isMine ? <span class="mark">{t("votes.mine")}</span> : null}
        {isMine && isOpen(row) ? <Withdraw row={row} work={work} class="button is-small" /> : null}
      </p>
      {comment === "" ? null : (
        <blockquote>
          <Plain text={comment} />
        </blockquote>
      )}
    </li>
  );
}

/** What is asked before the vote goes. A second press says yes. */
type Asked = "comment" | "edits" | "unseen";

const ASKED: Record<Asked, LaterKey> = {
  comment: "votes.need.comment",
  edits: "votes.confirm.edits",
  unseen: "votes.confirm.unseen",
};

/** Vote for what another person voted for, with the same values and edits. */
function VoteFor({ row, work, outcome }: VotesProps & { readonly outcome: Outcome }) {
  const page = usePage();
  const { inbox } = page;
  const asked = useSignal<readonly Asked[]>([]);
  const option = decisionsOf(work.shown.value).find((one) => one.decision === outcome.decision);
  const mine = voteOf(row.prompt, subjectOf(page));
  const why = hindrance(page, row, work);
  if (option === undefined || why === "excluded" || why === "not_for" || isInVain(page, row, option))
    return null;
  if (mine !== undefined && mine.outcome === outcome.outcome) return null;
  const { valuesJson = "", edits = [] } = outcome.proposal;
  const ask = (what: Asked): void => {
    asked.value = [...asked.peek(), what];
    disturb();
  };
  const press = (event: MouseEvent): void => {
    if (hindrance(page, row, work) !== null || !isSteadyClick(event, inbox.steadySince.peek())) return;
    const done = asked.peek();
    const comment = work.comment.peek().trim();
    if (option.commentRequired === true && comment === "") {
      asked.value = ["comment"];
      document.getElementById("comment")?.focus();
      return;
    }
    if (work.isEdited && work.hasText && !done.includes("edits")) {
      ask("edits");
      return;
    }
    if (unseenLines.peek() > 0 && !done.includes("unseen")) {
      ask("unseen");
      return;
    }
    asked.value = [];
    work.pending.value = null;
    inbox.forgetSubmission(work.promptId);
    inbox.submit({
      promptId: work.promptId,
      ...contentOf(work.shown.peek()),
      decision: outcome.decision ?? "DECISION_UNSPECIFIED",
      ...(valuesJson === "" ? {} : { valuesJson }),
      ...(edits.length === 0 ? {} : { edits }),
      ...(comment === "" ? {} : { comment }),
    });
  };
  const last = asked.value.at(-1);
  return (
    <div class="vote-for">
      <button
        type="button"
        class="button is-small"
        data-command="vote-for"
        aria-disabled={why !== null || unsteady.value}
        aria-describedby="answer-why"
        onClick={press}
      >
        {t(
          outcome.decision === "DECISION_EDIT"
            ? "votes.for"
            : isOriginal(outcome)
              ? "votes.for_original"
              : "votes.for_same",
        )}
      </button>
      <span role="status">
        {last === undefined ? "" : t(ASKED[last], { verb: nameOf(option), n: unseenLines.value })}
      </span>
    </div>
  );
}
