// A rule that was just created in a window, with the way back.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Rule } from "../../wire/messages";
import { rich, t } from "../../words/later";
import { Failure } from "../failure";
import { announce } from "../live";
import type { Page } from "../page";
import { instant } from "../prompt_facts";
import { Icon, Name, Time } from "../ui";
import { ProposalJob } from "./proposal_job";
import { deleteRule } from "./rule_store";
import { RuleText } from "./rule_text";
import { newestSpec } from "./rule_words";

interface CreatedProps {
  readonly page: Page;
  readonly rule: Rule;
  /** Its decision as a button named it. Undefined: by its verb. */
  readonly done?: string | undefined;
  readonly onClose: () => void;
}

export function Created({ page, rule, done, onClose }: CreatedProps) {
  const { inbox } = page;
  const busy = useSignal(false);
  const isUndone = useSignal(false);
  const error = useSignal<unknown>(null);
  const said = useRef<HTMLParagraphElement>(null);
  // The button that was pressed is gone.
  useEffect(() => said.current?.focus(), [isUndone.value]);
  const spec = newestSpec(rule);
  const isProposed = rule.state === "RULE_STATE_PROPOSED";
  const end = instant(spec.expireTime);
  const undo = async () => {
    if (busy.peek()) return;
    busy.value = true;
    error.value = null;
    try {
      await deleteRule(inbox, rule);
      isUndone.value = true;
      announce(t("created.undone"));
    } catch (problem) {
      error.value = problem;
    }
    busy.value = false;
  };
  const parts = {
    name: (
      <strong>
        <Name text={spec.name ?? ""} />
      </strong>
    ),
    time: end === undefined ? "" : <Time at={end} now={inbox.now()} />,
  };
  return (
    <>
      <div class="dialog-body" data-created={rule.ruleId}>
        <p ref={said} tabIndex={-1} class="fact">
          <Icon name={isUndone.value ? "minus" : "check"} />
          <span>
            {rich(
              isUndone.value ? "created.deleted" : isProposed ? "created.waits" : "created.active",
              parts,
            )}
          </span>
        </p>
        {isUndone.value ? null : (
          <>
            {isProposed ? <ProposalJob rule={rule} onGo={onClose} /> : null}
            <RuleText spec={spec} done={done} />
          </>
        )}
        <div role="alert">
          {error.value === null ? null : <Failure error={error.value} what={t("created.undo.failed")} />}
        </div>
      </div>
      <footer class="dialog-foot">
        <button type="button" class="button is-main" data-command="rule-done" onClick={onClose}>
          {t("close")}
        </button>
        {isUndone.value ? null : (
          <button
            type="button"
            class="button"
            data-command="rule-undo"
            aria-disabled={busy.value}
            onClick={() => void undo()}
          >
            {t("created.undo")}
          </button>
        )}
      </footer>
    </>
  );
}
