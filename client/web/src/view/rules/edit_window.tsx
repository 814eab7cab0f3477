// A rule as text: the whole specification as JSON, saved as a new revision by the person who changes it.

import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import type { Rule, RuleSpec } from "../../wire/messages";
import { rich, t } from "../../words/later";
import { announce } from "../live";
import { subjectOf, usePage } from "../page";
import { Dialog, Name } from "../ui";
import { RuleFailure } from "./rule_failure";
import { learnRule } from "./rule_store";
import { newestSpec, stateWords } from "./rule_words";
import { readSpec } from "./spec_text";

export function EditWindow({ rule, onClose }: { readonly rule: Rule; readonly onClose: () => void }) {
  const page = usePage();
  const { inbox } = page;
  // What the window showed when it opened is what is changed: the service refuses it where that has changed.
  const first = useMemo(() => rule, []);
  const text = useSignal(useMemo(() => JSON.stringify(newestSpec(first), null, 2), []));
  const problem = useSignal("");
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);
  const save = async () => {
    if (busy.peek()) return;
    error.value = null;
    const read = readSpec(text.peek());
    problem.value = "problem" in read ? read.problem : "";
    if ("problem" in read) {
      document.getElementById("rule-json")?.focus();
      return;
    }
    busy.value = true;
    try {
      const reply = await inbox.call("PolicyService/UpdateRule", {
        namespace: first.namespace ?? "",
        ruleId: first.ruleId ?? "",
        spec: read.spec as RuleSpec,
        expectedRevision: first.newestRevision ?? "0",
      });
      learnRule(inbox, reply.rule);
      announce(reply.rule === undefined ? "" : stateWords(reply.rule));
      onClose();
    } catch (failure) {
      error.value = failure;
    }
    busy.value = false;
  };
  return (
    <Dialog title={t("edit_rule.title")} onClose={onClose} wide>
      <div class="dialog-body">
        <p>{rich("edit_rule.what", { name: <Name text={subjectOf(page)} /> })}</p>
        <label>
          <span>{t("edit_rule.json")}</span>
          <textarea
            id="rule-json"
            class="mono"
            rows={20}
            value={text.value}
            spellcheck={false}
            autocomplete="off"
            aria-invalid={problem.value !== "" || error.value !== null}
            aria-describedby="rule-json-why"
            onInput={(event) => {
              text.value = event.currentTarget.value;
              problem.value = "";
            }}
          />
        </label>
        <div id="rule-json-why" role="alert">
          {problem.value === "" ? null : (
            <p class="error-note">
              {t("edit_rule.no_json")} <Name text={problem.value} />
            </p>
          )}
          {error.value === null ? null : <RuleFailure error={error.value} what={t("rules.unchanged")} />}
        </div>
      </div>
      <footer class="dialog-foot">
        <button
          type="button"
          class="button is-main"
          data-command="rule-save"
          aria-disabled={busy.value}
          onClick={() => void save()}
        >
          {t("edit_rule.save")}
        </button>
        <button type="button" class="button" onClick={onClose}>
          {t("cancel")}
        </button>
      </footer>
    </Dialog>
  );
}
