import "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useLayoutEffect } from "preact/hooks";
import { Plain } from "../content";
import type { FieldViolation } from "../wire/messages";
import { AnswerView } from "./answer_view";
import { NodeView } from "./composite_view";
import type { Form } from "./form";
import { FormContext, focusNode } from "./frame";

interface FormViewProps {
  readonly form: Form;
  /** What the service refused. A new list is shown at the fields, and the first of them gets the focus. */
  readonly violations?: readonly FieldViolation[];
  /** Shows the values without controls. */
  readonly readOnly?: boolean;
  /** Called after each change by the person: read `form.inputs()` for the draft. */
  readonly onChange?: () => void;
}

/** A form to fill in. It owns its controls; give another form a `key` of its own. */
export function FormView({
  form,
  violations,
  readOnly = false,
  onChange,
}: FormViewProps): JSX.Element | null {
  useEffect(() => {
    if (!violations) return;
    const first = form.setViolations(violations);
    if (first && violations.length) focusNode(first);
  }, [form, violations]);
  // Before the first paint: what is typed at once is reported too.
  useLayoutEffect(() => {
    let isFirst = true;
    return form.changes.subscribe(() => {
      if (!isFirst) onChange?.();
      isFirst = false;
    });
  }, [form, onChange]);
  if (!form.root && !form.lost.value.length) return null;
  if (readOnly) {
    return (
      <>
        <AnswerView form={form} />
        <LostTexts form={form} />
      </>
    );
  }
  return (
    <FormContext.Provider value={form}>
      <form class="form" noValidate autocomplete="off" onSubmit={(event) => event.preventDefault()}>
        <LeftOver form={form} />
        <Elsewhere form={form} />
        {form.root && <NodeView node={form.root} bare />}
      </form>
    </FormContext.Provider>
  );
}

/** Shows all problems and moves the focus to the first. Returns whether the form can be sent. */
export function revealProblems(form: Form): boolean {
  const first = form.reveal();
  if (first) focusNode(first);
  return first === undefined;
}

function LeftOver({ form }: { readonly form: Form }): JSX.Element | null {
  const { words } = form;
  if (!form.lost.value.length) return null;
  return (
    <section class="form-lost" aria-label={words.leftOver}>
      <p>
        <strong>{words.leftOver}.</strong> {words.leftOverHelp}
      </p>
      <button type="button" class="form-button" onClick={() => form.dropLost()}>
        {words.discard}
      </button>
      <LostTexts form={form} />
    </section>
  );
}

function LostTexts({ form }: { readonly form: Form }): JSX.Element | null {
  if (!form.lost.value.length) return null;
  return (
    <dl>
      {form.lost.value.map(({ where, text }) => (
        <div key={`${where} ${text}`}>
          <dt>
            <Plain text={where} />
          </dt>
          <dd class="form-text">
            <Plain text={text} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Elsewhere({ form }: { readonly form: Form }): JSX.Element | null {
  const refusals = form.refusals.value;
  if (!refusals.length) return null;
  return (
    <div class="form-problem">
      <p>{form.words.wrongElsewhere}</p>
      <ul>
        {refusals.map(({ field = "", description = "" }) => (
          <li key={field + description}>
            <Plain text={`${field}: ${description}`} />
          </li>
        ))}
      </ul>
    </div>
  );
}
