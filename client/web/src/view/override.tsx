// An admin decides a prompt whatever its rules say: apart from the usual answers, and never without a reason.

import { type Signal, useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { Plain } from "../content";
import { type Form, FormView, makeForm, revealProblems } from "../forms";
import { newId } from "../wire/browser";
import type { Decision, OverridePromptRequest, Prompt } from "../wire/messages";
import { formWords } from "../words";
import { t } from "../words/later";
import { Failure } from "./failure";
import { decisionWords, nameOf, verbOf } from "./labels";
import { announce } from "./live";
import { changes, dialog, type Page } from "./page";
import { contentOf, decisionsOf, hasForm, idOf, isEditable, takesValues } from "./prompt_facts";
import { route } from "./route";
import { isSteadyClick, unsteady } from "./steady";
import { Dialog, Icon, Name } from "./ui";
import type { Work } from "./work";

export function Override({ page }: { readonly page: Page }) {
  const { place } = route.value;
  const work = place.view === "prompt" ? page.works.get(place.promptId) : undefined;
  const close = () => {
    dialog.value = null;
  };
  return work === undefined ? null : <OverrideDialog key={work.promptId} {...{ page, work, close }} />;
}

interface OverrideProps {
  readonly page: Page;
  readonly work: Work;
  readonly close: () => void;
}

type Missing = "override.choose" | "override.need.comment" | "override.need.edit" | "override.need.values";

function OverrideDialog({ page, work, close }: OverrideProps) {
  const { inbox } = page;
  // What the window showed when it opened is what is decided on: the service refuses it where that has changed.
  const prompt = useMemo(() => work.shown.peek(), [work]);
  const form = useMemo(() => makeForm(prompt.content ?? {}, { words: formWords() }), [prompt]);
  const decision = useSignal<Decision | null>(null);
  const comment = useSignal("");
  const edits = useSignal<Readonly<Record<string, string>>>({});
  const missing = useSignal<Missing | null>(null);
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);
  const ids = useMemo(() => new Map<string, string>(), [prompt]);
  const option = decisionsOf(prompt).find((one) => one.decision === decision.value);
  const verb = option === undefined ? "" : nameOf(option);

  const send = async (event: MouseEvent) => {
    if (busy.peek() || !inbox.canDecide.peek() || !isSteadyClick(event, inbox.steadySince.peek())) return;
    error.value = null;
    const body = bodyOf(prompt, decision.peek(), form, edits.peek(), comment.peek());
    missing.value = "missing" in body ? body.missing : null;
    if ("missing" in body) {
      if (body.missing === "override.need.values") revealProblems(form);
      return;
    }
    // One id for each content, so that a second press after a lost reply is the same override.
    const key = JSON.stringify(body);
    const answerId = ids.get(key) ?? newId();
    ids.set(key, answerId);
    busy.value = true;
    try {
      await inbox.call("HitlService/OverridePrompt", { ...body, answerId });
      close();
      changes.value += 1;
      announce(t("override.done"));
    } catch (problem) {
      error.value = problem;
    }
    busy.value = false;
  };

  return (
    <Dialog title={t("override.title")} onClose={close}>
      <div class="dialog-body">
        <p class="status-text is-alert">
          <Icon name="alert" />
          <span>{t("override.what")}</span>
        </p>
        <p>
          <strong>
            <Plain text={prompt.content?.title ?? ""} />
          </strong>
        </p>
        <fieldset>
          <legend>{t("override.decision")}</legend>
          {decisionsOf(prompt).map((one) => {
            const value = one.decision ?? "DECISION_UNSPECIFIED";
            const words = decisionWords(one);
            return (
              <label key={value} class="choice">
                <input
                  type="radio"
                  name="override"
                  checked={decision.value === value}
                  onChange={() => {
                    decision.value = value;
                    missing.value = null;
                  }}
                />
                <span>
                  {words.verb}
                  {words.label === "" ? null : (
                    <small>
                      <Name text={words.label} />
                    </small>
                  )}
                </span>
              </label>
            );
          })}
        </fieldset>
        {decision.value === "DECISION_EDIT" ? <Edits prompt={prompt} edits={edits} /> : null}
        {decision.value !== null && takesValues(decision.value) && hasForm(prompt) ? (
          <FormView form={form} />
        ) : null}
        <label>
          <span>{t("override.comment")}</span>
          <textarea
            rows={3}
            value={comment.value}
            required
            aria-invalid={missing.value === "override.need.comment"}
            aria-describedby="override-why"
            autocomplete="off"
            dir="auto"
            onInput={(event) => {
              comment.value = event.currentTarget.value;
              missing.value = null;
            }}
          />
        </label>
        <div id="override-why" role="alert">
          {missing.value === null ? null : <p class="error-note">{t(missing.value)}</p>}
          {error.value === null ? null : <Failure error={error.value} what={t("override.failed")} />}
        </div>
      </div>
      <footer class="dialog-foot">
        <button
          type="button"
          class="button is-danger"
          data-command="override-confirm"
          aria-disabled={busy.value || !inbox.canDecide.value || unsteady.value}
          onClick={(event) => void send(event)}
        >
          {decision.value === null
            ? t("override.choose")
            : t("override.send", { verb: verb || verbOf(decision.value) })}
        </button>
        <button type="button" class="button" onClick={close}>
          {t("cancel")}
        </button>
      </footer>
    </Dialog>
  );
}

/** The texts that an EDIT may replace. */
function Edits({
  prompt,
  edits,
}: {
  readonly prompt: Prompt;
  readonly edits: Signal<Readonly<Record<string, string>>>;
}) {
  return (
    <>
      {(prompt.content?.contents ?? []).filter(isEditable).map((part) => {
        const id = part.contentId ?? "";
        return (
          <label key={id}>
            <span>
              {t("edit.label")} <Plain text={part.title || id} />
            </span>
            <textarea
              rows={8}
              value={edits.value[id] ?? part.text ?? ""}
              spellcheck={false}
              autocomplete="off"
              dir="auto"
              onInput={(event) => {
                edits.value = { ...edits.peek(), [id]: event.currentTarget.value };
              }}
            />
          </label>
        );
      })}
    </>
  );
}

/** The override as it is sent, without its id; or what is missing. */
function bodyOf(
  prompt: Prompt,
  decision: Decision | null,
  form: Form,
  texts: Readonly<Record<string, string>>,
  comment: string,
): OverridePromptRequest | { readonly missing: Missing } {
  if (decision === null) return { missing: "override.choose" };
  const values = takesValues(decision) && hasForm(prompt) ? form.values() : null;
  if (values !== null && "problems" in values) return { missing: "override.need.values" };
  const originals = new Map(
    (prompt.content?.contents ?? []).map((part) => [part.contentId, part.text ?? ""]),
  );
  const edits =
    decision === "DECISION_EDIT"
      ? Object.entries(texts)
          .filter(([id, text]) => originals.get(id) !== text)
          .map(([contentId, text]) => ({ contentId, text }))
      : [];
  if (decision === "DECISION_EDIT" && edits.length === 0 && !form.isTouched)
    return { missing: "override.need.edit" };
  if (comment.trim() === "") return { missing: "override.need.comment" };
  return {
    promptId: idOf(prompt),
    ...contentOf(prompt),
    decision,
    ...(values === null ? {} : { valuesJson: values.json }),
    ...(edits.length === 0 ? {} : { edits }),
    comment: comment.trim(),
  };
}
