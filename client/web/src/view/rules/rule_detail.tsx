// The page of one rule: what it says, what waits, and its switches.

import { type Signal, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { Rule } from "../../wire/messages";
import { rich, t } from "../../words/later";
import { announce } from "../live";
import { usePage } from "../page";
import { instant } from "../prompt_facts";
import { Dialog, Icon, Name, Time } from "../ui";
import { EditWindow } from "./edit_window";
import { Preview } from "./preview";
import { ProposalJob } from "./proposal_job";
import { RuleFailure } from "./rule_failure";
import { deleteRule, isDeleted, learnRule } from "./rule_store";
import { Examples, RuleText } from "./rule_text";
import { newestSpec, shownSpec, stateWords, usesText } from "./rule_words";

export function RuleDetail({ rule }: { readonly rule: Rule }) {
  const spec = shownSpec(rule);
  const previewed = useSignal(false);
  return (
    <>
      <h1 tabIndex={-1} id="rule-title">
        <Name text={spec.name ?? ""} />
      </h1>
      <p data-state={rule.state}>
        <strong>{stateWords(rule)}</strong>
      </p>
      <p>
        <Name text={spec.reason ?? ""} />
      </p>
      {isDeleted(rule) ? null : <Switches rule={rule} previewed={previewed} />}
      <section aria-label={t("rules.says")}>
        <RuleText spec={spec} />
      </section>
      {previewed.value ? (
        <Preview key={rule.newestRevision} namespace={rule.namespace ?? ""} spec={newestSpec(rule)} />
      ) : null}
      <Proposal rule={rule} />
      <Facts rule={rule} />
      <Examples title={t("rules.matching")} examples={spec.matching} />
      <Examples title={t("rules.not_matching")} examples={spec.notMatching} />
    </>
  );
}

function Facts({ rule }: { readonly rule: Rule }) {
  const { inbox } = usePage();
  const time = (stamp: string | undefined) => {
    const at = instant(stamp);
    return at === undefined ? null : <Time at={at} now={inbox.now()} />;
  };
  const name = (text = "") => (text === "" ? null : <Name text={text} />);
  const facts: readonly (readonly [string, ComponentChildren])[] = [
    [t("rules.author"), name(rule.author)],
    [t("rules.authorised"), name(rule.authorisedBy)],
    [t("rules.revision"), (rule.revision ?? "0") === "0" ? null : rule.revision],
    [t("rules.used"), usesText(rule)],
    [t("rules.end"), time(shownSpec(rule).expireTime)],
    [t("rules.created"), time(rule.createTime)],
    [t("rules.changed"), time(rule.updateTime)],
    [t("rules.id"), <code key="id">{rule.ruleId}</code>],
  ];
  return (
    <dl class="person job-facts">
      {facts
        .filter(([, value]) => value !== null)
        .map(([title, value]) => (
          <div key={title}>
            <dt>{title}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

/** The revision that waits for a second person. */
function Proposal({ rule }: { readonly rule: Rule }) {
  if (rule.proposed === undefined || isDeleted(rule)) return null;
  return (
    <section class="notice job-failure" aria-labelledby="rule-proposal">
      <h2 id="rule-proposal">{t("rules.proposal", { n: Number(rule.proposedRevision ?? 0) })}</h2>
      <p>{rich("rules.proposal.by", { name: <Name text={rule.proposedBy ?? ""} /> })}</p>
      <ProposalJob rule={rule} />
      {rule.spec === undefined ? null : <RuleText spec={rule.proposed} />}
    </section>
  );
}

interface SwitchesProps {
  readonly rule: Rule;
  readonly previewed: Signal<boolean>;
}

function Switches({ rule, previewed }: SwitchesProps) {
  const { inbox } = usePage();
  const asked = useSignal<"edit" | "delete" | null>(null);
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);
  // A rule that was never active has nothing to switch: it waits, or was rejected.
  const canSwitch = rule.spec !== undefined;
  const isOff = rule.state === "RULE_STATE_OFF";
  const close = () => {
    asked.value = null;
  };
  const turn = async (enabled: boolean) => {
    if (busy.peek()) return;
    busy.value = true;
    error.value = null;
    try {
      const reply = await inbox.call("PolicyService/UpdateRule", {
        namespace: rule.namespace ?? "",
        ruleId: rule.ruleId ?? "",
        enabled,
        expectedRevision: rule.newestRevision ?? "0",
      });
      learnRule(inbox, reply.rule);
      announce(reply.rule === undefined ? "" : stateWords(reply.rule));
    } catch (problem) {
      error.value = problem;
    }
    busy.value = false;
  };
  return (
    <div>
      <div class="claim-line">
        {canSwitch ? (
          <button
            type="button"
            class="button is-small"
            data-command="rule-switch"
            aria-disabled={busy.value}
            onClick={() => void turn(isOff)}
          >
            {t(isOff ? "rules.on" : "rules.off")}
          </button>
        ) : null}
        <button
          type="button"
          class="button is-small"
          data-command="rule-edit"
          onClick={() => {
            asked.value = "edit";
          }}
        >
          {t("rules.edit")}
        </button>
        <button
          type="button"
          class="button is-small"
          data-command="rule-preview"
          aria-expanded={previewed.value}
          onClick={() => {
            previewed.value = !previewed.peek();
          }}
        >
          {t("preview.show")}
        </button>
        <button
          type="button"
          class="button is-small"
          data-command="rule-delete"
          onClick={() => {
            asked.value = "delete";
          }}
        >
          {t("rules.delete")}
        </button>
      </div>
      {isOff && canSwitch ? <p class="hint">{t("rules.on.more")}</p> : null}
      <div role="alert">
        {error.value === null ? null : <RuleFailure error={error.value} what={t("rules.unchanged")} />}
      </div>
      {asked.value === "edit" ? <EditWindow rule={rule} onClose={close} /> : null}
      {asked.value === "delete" ? <Delete rule={rule} onClose={close} /> : null}
    </div>
  );
}

function Delete({ rule, onClose }: { readonly rule: Rule; readonly onClose: () => void }) {
  const { inbox } = usePage();
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);
  const confirm = async () => {
    if (busy.peek()) return;
    busy.value = true;
    error.value = null;
    try {
      await deleteRule(inbox, rule);
      announce(t("created.undone"));
      onClose();
      // The buttons are gone with the rule.
      document.getElementById("rule-title")?.focus();
    } catch (problem) {
      error.value = problem;
    }
    busy.value = false;
  };
  return (
    <Dialog title={t("rules.delete.title")} onClose={onClose}>
      <div class="dialog-body">
        <p class="status-text is-alert">
          <Icon name="alert" />
          <span>{rich("rules.delete.text", { name: <Name text={shownSpec(rule).name ?? ""} /> })}</span>
        </p>
        <div role="alert">
          {error.value === null ? null : <RuleFailure error={error.value} what={t("rules.unchanged")} />}
        </div>
      </div>
      <footer class="dialog-foot">
        <button type="button" class="button" onClick={onClose}>
          {t("cancel")}
        </button>
        <button
          type="button"
          class="button is-danger"
          data-command="rule-delete-confirm"
          aria-disabled={busy.value}
          onClick={() => void confirm()}
        >
          {t("rules.delete.confirm")}
        </button>
      </footer>
    </Dialog>
  );
}
