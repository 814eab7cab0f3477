// The values of an answer, by the titles of the form that asked for them.

import { useMemo } from "preact/hooks";
import { Plain } from "../content";
import { FormView, makeForm } from "../forms";
import type { PromptContent } from "../wire/messages";
import { formWords } from "../words";

interface AnswerValuesProps {
  readonly content: PromptContent;
  /** As JSON text. */
  readonly values: string;
}

/** Values that the form cannot show are shown as they came: nothing that was answered is left out. */
export function AnswerValues({ content, values }: AnswerValuesProps) {
  const form = useMemo(() => {
    const made = makeForm(content, { words: formWords() });
    return made.fill(values) ? made : null;
  }, [content, values]);
  return form === null ? (
    <pre class="values">
      <Plain text={values} />
    </pre>
  ) : (
    <FormView form={form} readOnly />
  );
}
