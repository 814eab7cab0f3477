// Taking back one's own vote while the prompt is open.

import { useSignal } from "@preact/signals";
import type { Row } from "../model/inbox";
import { t } from "../words/later";
import { errorText } from "./errors";
import { announce, interrupt } from "./live";
import { changes, subjectOf, usePage } from "./page";
import { idOf, voteOf } from "./prompt_facts";
import { isSteadyClick, unsteady } from "./steady";
import type { Work } from "./work";

interface WithdrawProps {
  readonly row: Row;
  readonly work: Work;
  readonly class: string;
}

/** A button; nothing where the person has no vote. The change comes over the stream, as every other one. */
export function Withdraw({ row, work, class: name }: WithdrawProps) {
  const page = usePage();
  const { inbox } = page;
  const busy = useSignal(false);
  const problem = useSignal("");
  const mine = voteOf(row.prompt, subjectOf(page));
  if (mine === undefined) return null;
  const canAct = inbox.canDecide.value && !busy.value;
  const withdraw = async (event: MouseEvent) => {
    if (!canAct || !isSteadyClick(event, inbox.steadySince.peek())) return;
    busy.value = true;
    problem.value = "";
    try {
      await inbox.call("HitlService/WithdrawAnswer", {
        promptId: idOf(row.prompt),
        answerId: mine.answerId ?? "",
      });
      inbox.forgetSubmission(work.promptId);
      work.withdraw();
      changes.value += 1;
      announce(t("votes.withdrawn"));
      // The button is gone; the next decision is made on the prompt.
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
        class={name}
        data-command="withdraw"
        aria-disabled={!canAct || unsteady.value}
        onClick={(event) => void withdraw(event)}
      >
        {busy.value ? t("votes.withdrawing") : t("votes.withdraw")}
      </button>
      {problem.value === "" ? null : <span class="error-note">{problem.value}</span>}
    </>
  );
}
