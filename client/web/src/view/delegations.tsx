// Who may act on a prompt in place of whom, with the ways to delegate it and to give or take it back.

import { useSignal } from "@preact/signals";
import { Plain } from "../content";
import type { Row } from "../model/inbox";
import type { Delegation } from "../wire/messages";
import { rich, t } from "../words/later";
import { excludes } from "./deciding";
import { giveBack, targetText } from "./delegation_calls";
import { errorText } from "./errors";
import { Fact } from "./fact";
import { announce, interrupt } from "./live";
import { dialog, subjectOf, usePage } from "./page";
import { idOf, instant, isOpen } from "./prompt_facts";
import { rightOf } from "./rights";
import { isSteadyClick, unsteady } from "./steady";
import { Name, Time } from "./ui";

interface RowProps {
  readonly row: Row;
}

/** What a delegation is called in a list: unique among the active ones of a prompt. */
function keyOf({ giver = "", user = "", group = "", holder = "" }: Delegation): string {
  return [holder, giver, user, group].join("\n");
}

export function DelegationLines({ row }: RowProps) {
  const page = usePage();
  const { delegations = [] } = row.prompt;
  if (delegations.length === 0) return null;
  const mine = rightOf(row.prompt, page.inbox.session.value)?.delegation;
  return (
    <ul class="facts-line" aria-label={t("delegations.title")}>
      {delegations.map((one) => (
        <Line key={keyOf(one)} row={row} delegation={one} isMine={one === mine} />
      ))}
    </ul>
  );
}

interface LineProps extends RowProps {
  readonly delegation: Delegation;
  /** The person acts by it. */
  readonly isMine: boolean;
}

function Line({ row, delegation, isMine }: LineProps) {
  const page = usePage();
  const { holder = "", giver = "", user = "", comment = "", cause } = delegation;
  const now = page.inbox.now();
  const end = instant(delegation.endTime);
  const isAbsence = cause === "DELEGATION_CAUSE_ABSENCE";
  const until = end === undefined ? "" : <Time at={end} now={now} />;
  const me = subjectOf(page);
  const isGiver = giver === me && me !== "";
  const isForMe = user === me && me !== "";
  const parts = {
    holder: (
      <strong>
        <Name text={holder} />
      </strong>
    ),
    giver: <Name text={giver} />,
    target: <Name text={isForMe ? t("delegations.you") : targetText(delegation)} />,
    time: until,
  };
  const mayEnd = isOpen(row) && !isAbsence && (isGiver || page.inbox.session.value.admin === true);
  return (
    <li class="claim-line" data-delegation={user || delegation.group}>
      <Fact icon={isAbsence ? "away" : "person"}>
        {isMine ? <>{rich("delegations.for", parts)} </> : null}
        {isAbsence
          ? rich(isMine ? "delegations.away_mine" : "delegations.away", parts)
          : rich(
              isGiver
                ? delegation.transferred === true
                  ? "delegations.given_mine"
                  : "delegations.added_mine"
                : delegation.transferred === true
                  ? "delegations.given"
                  : "delegations.added",
              parts,
            )}
        {holder === giver || isMine ? null : <> {rich("delegations.of", parts)}</>}
        {comment === "" ? null : (
          <>
            {" "}
            “<Plain text={comment} />”
          </>
        )}
      </Fact>
      {isOpen(row) && !isAbsence && isForMe ? <Return row={row} user="" group="" what="back" /> : null}
      {mayEnd && !isForMe ? (
        <Return row={row} user={user} group={delegation.group ?? ""} what="take" />
      ) : null}
    </li>
  );
}

interface ReturnProps extends RowProps {
  /** To whom it was delegated; with an empty group too: to this person. */
  readonly user: string;
  readonly group: string;
  readonly what: "back" | "take";
}

/** Give back a right, or take one back. The change comes over the stream, as every other one. */
function Return({ row, user, group, what }: ReturnProps) {
  const { inbox } = usePage();
  const busy = useSignal(false);
  const problem = useSignal("");
  const canAct = inbox.canDecide.value && !busy.value;
  const act = async (event: MouseEvent) => {
    if (!canAct || !isSteadyClick(event, inbox.steadySince.peek())) return;
    busy.value = true;
    problem.value = "";
    try {
      await giveBack(inbox, idOf(row.prompt), user, group);
      announce(t(what === "back" ? "delegations.back.done" : "delegations.take.done"));
      // The button is gone.
      document.getElementById("prompt-title")?.focus({ preventScroll: true });
    } catch (error) {
      problem.value = errorText(error);
      interrupt(problem.value);
    }
    busy.value = false;
  };
  return (
    <>
      <button
        type="button"
        class="button is-small"
        data-command={what === "back" ? "give-back" : "take-back"}
        aria-disabled={!canAct || unsteady.value}
        onClick={(event) => void act(event)}
      >
        {t(what === "back" ? "delegations.back" : "delegations.take")}
      </button>
      {problem.value === "" ? null : <span class="error-note">{problem.value}</span>}
    </>
  );
}

/** The way to the window, for a person who has a right to give. */
export function OfferDelegate({ row }: RowProps) {
  const page = usePage();
  const { inbox } = page;
  const isOffered =
    isOpen(row) &&
    subjectOf(page) !== "" &&
    row.prompt.content?.delegation?.scope !== "DELEGATION_SCOPE_NO_ONE" &&
    !excludes(page, row) &&
    rightOf(row.prompt, inbox.session.value) !== undefined;
  if (!isOffered) return null;
  return (
    <button
      type="button"
      class="button is-small"
      data-command="delegate"
      aria-disabled={!inbox.canDecide.value}
      onClick={() => {
        if (inbox.canDecide.peek()) dialog.value = "delegate";
      }}
    >
      {t("delegate.open")}
    </button>
  );
}
