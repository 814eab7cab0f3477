// Drafts of rules from what people have decided alike. A draft does nothing until a person creates the rule.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { RuleSuggestion } from "../../wire/messages";
import { rich, t } from "../../words/later";
import { ErrorNote } from "../errors";
import { oneLine } from "../one_line";
import { usePage } from "../page";
import { Name } from "../ui";
import { Adopt } from "./draft_window";
import { thenText, whenText } from "./rule_words";

/** How many of the last closed prompts are looked at. */
const PROMPTS = 1000;

export function Suggestions() {
  const page = usePage();
  const found = useSignal<readonly RuleSuggestion[] | null>(null);
  const error = useSignal<unknown>(null);
  const adopted = useSignal<RuleSuggestion | null>(null);
  useEffect(() => {
    page.inbox.call("PolicyService/SuggestRules", { prompts: PROMPTS }).then(
      (reply) => {
        found.value = reply.suggestions ?? [];
      },
      (problem: unknown) => {
        error.value = problem;
      },
    );
  }, [page]);
  const drafts = found.value;
  return (
    <section aria-labelledby="suggest-title">
      <h2 id="suggest-title">{t("suggest.title")}</h2>
      <p role="status">
        {drafts !== null
          ? t("suggest.count", { n: drafts.length })
          : error.value === null
            ? t("suggest.loading")
            : ""}
      </p>
      {error.value === null ? null : <ErrorNote error={error.value} />}
      {drafts === null || drafts.length === 0 ? null : (
        <ol class="job-rows">
          {drafts.map((draft) => {
            const { spec = {}, support = 0, exceptions = 0, users = [] } = draft;
            return (
              <li key={JSON.stringify(spec)} class="job-row" data-suggestion>
                <div class="job-question">
                  <p class="job-name">
                    <Name text={thenText(spec)} />
                  </p>
                  <p class="hint">
                    <Name text={oneLine(whenText(spec), 400)} />
                  </p>
                </div>
                <div class="row-meta">
                  <span>
                    {rich("draft.support", { n: support, names: <Name text={users.join(", ")} /> })}
                  </span>
                  {exceptions === 0 ? null : <strong>{t("draft.exceptions", { n: exceptions })}</strong>}
                </div>
                <div>
                  <button
                    type="button"
                    class="button is-small"
                    aria-label={`${t("suggest.adopt")} ${spec.name ?? ""}`}
                    onClick={() => {
                      adopted.value = draft;
                    }}
                  >
                    {t("suggest.adopt")}
                  </button>
                </div>
              </li>
            );
          })}
        </ol>
      )}
      {adopted.value === null ? null : (
        <Adopt
          page={page}
          suggestion={adopted.value}
          onClose={() => {
            adopted.value = null;
          }}
        />
      )}
    </section>
  );
}
