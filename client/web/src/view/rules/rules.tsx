// The rules of the namespace, for people who may write them: a list, and the page of each.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Rule } from "../../wire/messages";
import { rich, t } from "../../words/later";
import { ErrorNote } from "../errors";
import { oneLine } from "../one_line";
import { usePage, useSignedIn } from "../page";
import { PlaceLink } from "../place_link";
import { instant } from "../prompt_facts";
import { writesRules } from "../roles";
import { Icon, Name, Time } from "../ui";
import { RuleDetail } from "./rule_detail";
import { isDeleted, readRules, rulesOf } from "./rule_store";
import { shownSpec, stateWords, thenText, usesText, whenText } from "./rule_words";
import { Suggestions } from "./suggestions";

/** How many characters of its conditions a row shows; the page of the rule has them all. */
const ROW = 240;

export function RulesView({ ruleId }: { readonly ruleId: string }) {
  const { inbox } = usePage();
  if (!writesRules(inbox.session.value))
    return (
      <section class="jobs" aria-labelledby="rules-title" data-focus-home>
        <h1 id="rules-title" tabIndex={-1}>
          {t("rules.title")}
        </h1>
        <p>{t("rules.forbidden")}</p>
      </section>
    );
  return ruleId === "" ? <RuleList /> : <OneRule key={ruleId} ruleId={ruleId} />;
}

/** Reads the rules when the view is opened, and again where `isAll` changes. */
function useRules(isAll: boolean) {
  const { inbox } = usePage();
  const isSignedIn = useSignedIn();
  const error = useSignal<unknown>(null);
  const isRead = useSignal(false);
  useEffect(() => {
    if (!isSignedIn) return;
    error.value = null;
    readRules(inbox, isAll).then(
      () => {
        isRead.value = true;
      },
      (problem: unknown) => {
        error.value = problem;
      },
    );
  }, [inbox, isSignedIn, isAll]);
  return { rules: rulesOf(inbox).value, isRead: isRead.value, error: error.value };
}

function RuleList() {
  const isAll = useSignal(false);
  const isSuggesting = useSignal(false);
  const { rules, isRead, error } = useRules(isAll.value);
  const listed = [...(rules?.values() ?? [])].filter((rule) => isAll.value || !isDeleted(rule));
  return (
    <section class="jobs" aria-labelledby="rules-title" data-focus-home>
      <h1 id="rules-title" tabIndex={-1}>
        {t("rules.title")}
      </h1>
      <p class="hint">{t("rules.hint")}</p>
      <div class="claim-line">
        <button
          type="button"
          class="button"
          data-command="suggest"
          aria-expanded={isSuggesting.value}
          aria-controls="rule-suggestions"
          onClick={() => {
            isSuggesting.value = !isSuggesting.peek();
          }}
        >
          {t("suggest.open")}
        </button>
        <label class="choice">
          <input
            type="checkbox"
            checked={isAll.value}
            onChange={(event) => {
              isAll.value = event.currentTarget.checked;
            }}
          />
          {t("rules.all")}
        </label>
      </div>
      <div id="rule-suggestions">{isSuggesting.value ? <Suggestions /> : null}</div>
      {error === null ? null : <ErrorNote error={error} />}
      <p class="summary" role="status">
        {isRead ? t("rules.count", { n: listed.length }) : error === null ? t("rules.loading") : ""}
      </p>
      {!isRead ? null : listed.length === 0 ? (
        <p class="empty empty-title">{t("rules.none")}</p>
      ) : (
        <ol class="job-rows" aria-label={t("rules.list")}>
          {listed.map((rule) => (
            <RuleRow key={rule.ruleId} rule={rule} />
          ))}
        </ol>
      )}
    </section>
  );
}

function RuleRow({ rule }: { readonly rule: Rule }) {
  const { inbox } = usePage();
  const spec = shownSpec(rule);
  const end = instant(spec.expireTime);
  const isOn = rule.state === "RULE_STATE_ACTIVE";
  return (
    <li class={isOn ? "job-row" : "job-row is-ended"} data-rule-row={rule.ruleId}>
      <div>
        <p class="job-name">
          <PlaceLink place={{ view: "rules", ruleId: rule.ruleId ?? "" }}>
            <Name text={spec.name ?? ""} />
          </PlaceLink>
        </p>
        <p class="job-state">{stateWords(rule)}</p>
        {isOn && (rule.proposedRevision ?? "0") !== "0" ? <p>{t("rules.waiting")}</p> : null}
      </div>
      <div class="job-question">
        <p>
          <Name text={thenText(spec)} />
        </p>
        <p class="hint">
          <Name text={oneLine(whenText(spec), ROW)} />
        </p>
      </div>
      <div class="row-meta">
        <span>{rich("rules.by", { name: <Name text={rule.author || (rule.proposedBy ?? "")} /> })}</span>
        <span>{usesText(rule)}</span>
        {end === undefined ? null : (
          <span>{rich("rules.ends", { time: <Time at={end} now={inbox.now()} /> })}</span>
        )}
      </div>
    </li>
  );
}

function OneRule({ ruleId }: { readonly ruleId: string }) {
  // A deleted rule has its page too: answers name it.
  const { rules, isRead, error } = useRules(true);
  const rule = rules?.get(ruleId);
  return (
    <article class="jobs" data-focus-home>
      <PlaceLink class="job-back" place={{ view: "rules", ruleId: "" }}>
        <Icon name="back" />
        {t("rules.title")}
      </PlaceLink>
      {rule === undefined ? (
        <>
          <h1 tabIndex={-1}>{t(isRead ? "rules.missing" : "rules.loading")}</h1>
          {error === null ? null : <ErrorNote error={error} />}
        </>
      ) : (
        <RuleDetail rule={rule} />
      )}
    </article>
  );
}
