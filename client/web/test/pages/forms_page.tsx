// A page with one form, for tests/web/browser/forms. The tests call `forms` from outside.

import "../../src/styles/index.css";
import { render } from "preact";
import { type Form, FormView, makeForm, revealProblems } from "../../src/forms";
import { DE } from "../../src/forms/words_de";
import type { FieldViolation, PromptContent } from "../../src/wire/messages";

let form: Form | undefined;
let changes = 0;

function draw(violations?: readonly FieldViolation[], readOnly = false): void {
  const root = document.getElementById("app");
  if (!root || !form) return;
  const count = () => {
    changes += 1;
  };
  const given = violations ? { violations } : {};
  render(<FormView key={form} form={form} readOnly={readOnly} onChange={count} {...given} />, root);
}

const forms = {
  show(content: PromptContent, { german = false, zone = "Europe/Berlin" } = {}): void {
    const root = document.getElementById("app");
    if (root) render(null, root);
    form = makeForm(content, german ? { zone, words: DE } : { zone });
    changes = 0;
    draw();
  },
  values: () => {
    const values = form?.values() ?? { json: "" };
    return "json" in values
      ? values.json
      : values.problems.map(({ node, message }) => `${node.entry.key}: ${message}`);
  },
  reveal: () => form && revealProblems(form),
  refuse: (violations: readonly FieldViolation[]) => draw(violations),
  inputs: () => form?.inputs(),
  restore: (inputs: string) => form?.restore(inputs),
  read_only: () => draw(undefined, true),
  answered(valuesJson: string): boolean {
    const filled = form?.fill(valuesJson) ?? false;
    draw(undefined, true);
    return filled;
  },
  changes: () => changes,
};

Object.assign(globalThis, { forms });
