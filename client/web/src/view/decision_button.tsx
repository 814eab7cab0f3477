// The button of one decision: where presses are judged.

import type { Row } from "../model/inbox";
import type { DecisionOption } from "../wire/messages";
import { decide, isInVain, painted, presses } from "./deciding";
import type { Hindrance } from "./decision_rules";
import { commandFor, hintsOf } from "./key_choices";
import { KeyHint } from "./key_hint";
import { decisionWords, looksOf } from "./labels";
import { usePage } from "./page";
import { isPlain } from "./press";
import { unsteady } from "./steady";
import { Icon, Name } from "./ui";
import type { Work } from "./work";

interface ButtonProps {
  readonly row: Row;
  readonly work: Work;
  readonly option: DecisionOption;
  /** Why nothing can be decided now; null: it can. */
  readonly why: Hindrance | null;
}

export function DecisionButton({ row, work, option, why }: ButtonProps) {
  const page = usePage();
  const decision = option.decision ?? "DECISION_UNSPECIFIED";
  const looks = looksOf(decision);
  const does = commandFor(decision);
  const words = decisionWords(option);
  const isPending = work.pending.value?.decision === decision;
  const act = (stamp: number) => decide(page, row, work, option, stamp);
  const name = (suffix: string) => `button ${decision} ${suffix}`;
  // Enter and Space go down and up on one prompt too, so the browser's own click of the key is not used.
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    if (isPlain(event)) presses.down(name(event.key), painted.peek(), event.timeStamp);
  };
  const onKeyUp = (event: KeyboardEvent) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    const stamp = presses.up(name(event.key), painted.peek());
    if (stamp !== null) act(stamp);
  };
  const onClick = (event: MouseEvent) => {
    // A click without a pointer comes from assistive technology, which presses for the person.
    if (event.detail === 0) act(event.timeStamp);
    else {
      const stamp = presses.up(name("pointer"), painted.peek());
      if (stamp !== null) act(stamp);
    }
  };
  return (
    <button
      type="button"
      class={`decision is-${looks.tone}${isPending ? " is-pending" : ""}`}
      data-decision={decision}
      aria-disabled={why !== null || isInVain(page, row, option) || unsteady.value}
      aria-describedby="answer-why"
      aria-keyshortcuts={hintsOf(does).join(" ") || undefined}
      onPointerDown={(event) => presses.down(name("pointer"), painted.peek(), event.timeStamp)}
      onKeyDown={onKeyDown}
      onKeyUp={onKeyUp}
      onClick={onClick}
    >
      <Icon name={looks.icon} />
      <span class="decision-words">
        {words.verb}
        {words.label === "" ? null : (
          <small>
            <Name text={words.label} />
          </small>
        )}
      </span>
      <KeyHint does={does} />
    </button>
  );
}
