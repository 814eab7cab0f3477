// The window in which a draft becomes a rule: what it says, what it covers, and what makes it narrower. The rule answers
// in the name of the person who creates it.

import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { Plain } from "../../content";
import { newId } from "../../wire/browser";
import type { Prompt, Rule, RuleSpec, RuleSuggestion } from "../../wire/messages";
import { rich, t } from "../../words/later";
import { fromLocal, toLocal } from "../absences";
import { decidedWords } from "../labels";
import { announce } from "../live";
import { oneLine } from "../one_line";
import { dialog, type Page, subjectOf } from "../page";
import { instant } from "../prompt_facts";
import { route } from "../route";
import { isSteadyClick, unsteady } from "../steady";
import { Dialog, Icon, Name, Time } from "../ui";
import { Created } from "./created";
import { type DraftProblem, finishDraft, LIFE_MS, narrowed } from "./draft";
import { Preview, Samples } from "./preview";
import { RuleFailure } from "./rule_failure";
import { learnRule } from "./rule_store";
import { RuleText } from "./rule_text";

/** How many characters of a question are its rule's name. */
const NAME = 120;

/** The window "Always so" of the prompt of the address. */
export function Always({ page }: { readonly page: Page }) {
  const { place } = route.value;
  const work = place.view === "prompt" ? page.works.get(place.promptId) : undefined;
  const close = () => {
    dialog.value = null;
  };
  if (work === undefined) return null;
  return <AlwaysDraft key={work.promptId} {...{ page, close }} prompt={work.shown.peek()} />;
}

interface AlwaysProps {
  readonly page: Page;
  readonly close: () => void;
  readonly prompt: Prompt;
}

/** Asks for the draft of one prompt. */
function AlwaysDraft({ page, close, prompt }: AlwaysProps) {
  const { namespace = "", promptId = "" } = prompt;
  const title = prompt.content?.title ?? "";
  const found = useSignal<RuleSuggestion | null>(null);
  const error = useSignal<unknown>(null);
  useEffect(() => {
    page.inbox.call("PolicyService/SuggestRules", { namespace, promptId }).then(
      (reply) => {
        found.value = reply.suggestions?.[0] ?? {};
      },
      (problem: unknown) => {
        error.value = problem;
      },
    );
  }, []);
  return (
    <Dialog title={t("always.title")} onClose={close} wide>
      {found.value === null ? (
        <div class="dialog-body">
          <strong>
            <Plain text={title} />
          </strong>
          <div role="status">
            {error.value === null ? (
              <p>{t("draft.loading")}</p>
            ) : (
              <RuleFailure error={error.value} what={t("draft.none")} />
            )}
          </div>
        </div>
      ) : (
        <Draft
          {...{ page, namespace, title }}
          suggestion={found.value}
          done={decidedWords(prompt, found.value.spec?.answer?.decision)}
          onClose={close}
        />
      )}
    </Dialog>
  );
}

interface AdoptProps {
  readonly page: Page;
  readonly suggestion: RuleSuggestion;
  readonly onClose: () => void;
}

/** The window for a draft that was made of what people decided. */
export function Adopt({ page, suggestion, onClose }: AdoptProps) {
  return (
    <Dialog title={t("adopt.title")} onClose={onClose} wide>
      <Draft namespace="" title="" {...{ page, suggestion, onClose }} />
    </Dialog>
  );
}

interface DraftProps extends AdoptProps {
  readonly namespace: string;
  /** The question from which it was made. Empty: from several. */
  readonly title: string;
  readonly done?: string;
}

function Draft({ page, namespace, suggestion, title, done, onClose }: DraftProps) {
  const { inbox } = page;
  const draft: RuleSpec = suggestion.spec ?? {};
  const latest = useMemo(() => new Date(inbox.now() + LIFE_MS).toISOString(), []);
  // That of the service is for programs.
  const name = useSignal(title === "" ? (draft.name ?? "") : oneLine(`${done ?? ""}: ${title}`, NAME));
  // Why the rule is right is not in the answers: the person says it.
  const reason = useSignal("");
  const unless = useSignal("");
  const until = useSignal(toLocal(latest));
  const maxUses = useSignal("");
  const problem = useSignal<DraftProblem | null>(null);
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);
  const previewed = useSignal<{ readonly spec: RuleSpec; readonly n: number } | null>(null);
  const created = useSignal<Rule | null>(null);
  const ids = useMemo(() => new Map<string, string>(), []);
  const body = useRef<HTMLDivElement>(null);

  const create = async (event: MouseEvent) => {
    if (busy.peek() || !isSteadyClick(event, inbox.steadySince.peek())) return;
    error.value = null;
    const texts = {
      name: name.peek(),
      reason: reason.peek(),
      unless: unless.peek(),
      until: fromLocal(until.peek(), latest),
      maxUses: maxUses.peek(),
    };
    const finished = finishDraft(draft, texts, latest, inbox.now());
    problem.value = "problem" in finished ? finished.problem : null;
    if ("problem" in finished) {
      document.getElementById(`draft-${finished.problem.field}`)?.focus();
      return;
    }
    // One id for each content, so that a second press after a lost reply is the same rule.
    const key = JSON.stringify(finished.spec);
    const requestId = ids.get(key) ?? newId();
    ids.set(key, requestId);
    busy.value = true;
    try {
      const request = { namespace, requestId, spec: finished.spec };
      const { rule } = await inbox.call("PolicyService/CreateRule", request);
      learnRule(inbox, rule);
      created.value = rule ?? null;
      announce(t(rule?.state === "RULE_STATE_PROPOSED" ? "draft.proposed" : "draft.created"));
    } catch (failure) {
      error.value = failure;
    }
    busy.value = false;
  };
  const preview = () => {
    const spec = { ...narrowed(draft, unless.peek()), name: name.peek().trim() || "preview" };
    previewed.value = { spec, n: (previewed.peek()?.n ?? 0) + 1 };
  };
  const showEnd = () => {
    const box = body.current;
    if (box !== null) box.scrollTop = box.scrollHeight;
  };

  if (created.value !== null) return <Created {...{ page, onClose, done }} rule={created.value} />;
  const end = instant(fromLocal(until.value, latest));
  const asked = narrowed(draft, unless.value);
  return (
    <>
      <div class="dialog-body" ref={body}>
        {title === "" ? null : (
          <strong>
            <Plain text={title} />
          </strong>
        )}
        <RuleText spec={asked} done={done} />
        <Coverage suggestion={suggestion} />
        <p class="fact">
          <Icon name="person" />
          <span>
            {rich(draft.refuse === undefined ? "draft.in_name" : "draft.in_name.refuse", {
              name: (
                <strong>
                  <Name text={subjectOf(page)} />
                </strong>
              ),
              time: end === undefined ? "…" : <Time at={end} now={inbox.now()} />,
            })}
          </span>
        </p>
        <Field name="name" text={name} problem={problem} />
        <Field name="reason" text={reason} problem={problem} />
        <Field name="unless" text={unless} problem={problem} />
        <Field name="until" text={until} problem={problem} />
        <Field name="uses" text={maxUses} problem={problem} />
        <div id="draft-why" role="alert">
          {problem.value === null ? null : <p class="error-note">{t(problem.value.key)}</p>}
          {error.value === null ? null : <RuleFailure error={error.value} what={t("draft.failed")} />}
        </div>
        {previewed.value === null || previewed.value.spec.unless !== asked.unless ? null : (
          <Preview
            key={previewed.value.n}
            namespace={namespace}
            spec={previewed.value.spec}
            onShown={showEnd}
          />
        )}
      </div>
      <footer class="dialog-foot">
        <button
          type="button"
          class="button is-main"
          data-command="rule-create"
          aria-disabled={busy.value || unsteady.value}
          onClick={(event) => void create(event)}
        >
          {t("draft.create")}
        </button>
        <button type="button" class="button" data-command="rule-preview" onClick={preview}>
          {t("preview.show")}
        </button>
        <button type="button" class="button" onClick={onClose}>
          {t("cancel")}
        </button>
      </footer>
    </>
  );
}

/** What people decided of the prompts that it covers, and what is open of them. */
function Coverage({ suggestion }: { readonly suggestion: RuleSuggestion }) {
  const { support = 0, exceptions = 0, users = [], openPrompts = 0, samples = [] } = suggestion;
  return (
    <div>
      <p>{rich("draft.support", { n: support, names: <Name text={users.join(", ") || "–"} /> })}</p>
      {exceptions === 0 ? null : (
        <p class="status-text is-alert">
          <Icon name="alert" />
          <span>{t("draft.exceptions", { n: exceptions })}</span>
        </p>
      )}
      {openPrompts === 0 ? null : <p>{t("draft.open", { n: openPrompts })}</p>}
      {samples.length === 0 ? null : <Samples samples={samples} />}
    </div>
  );
}

interface FieldProps {
  readonly name: "name" | "reason" | "unless" | "until" | "uses";
  readonly text: Signal<string>;
  readonly problem: Signal<DraftProblem | null>;
}

function Field({ name, text, problem }: FieldProps) {
  const take = (event: { readonly currentTarget: { readonly value: string } }) => {
    text.value = event.currentTarget.value;
    problem.value = null;
  };
  const shared = {
    value: text.value,
    "aria-invalid": problem.value?.field === name,
    "aria-describedby": "draft-why",
    autocomplete: "off",
    onInput: take,
  } as const;
  const id = `draft-${name}`;
  return (
    <div>
      <label for={id}>
        {t(`draft.${name}`)} <small>{t(`draft.${name}.more`)}</small>
      </label>
      {name === "reason" || name === "unless" ? (
        <textarea
          id={id}
          rows={2}
          dir="auto"
          required={name === "reason"}
          spellcheck={name === "reason"}
          {...shared}
        />
      ) : name === "until" ? (
        <input id={id} type="datetime-local" required {...shared} />
      ) : (
        <input id={id} type="text" dir="auto" required={name === "name"} {...shared} />
      )}
    </div>
  );
}
