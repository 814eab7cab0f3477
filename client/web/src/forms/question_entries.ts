/** Turns the typed questions of the contract into the entries of a form. */

import { Num, tryParse } from "../json/exact";
import type { Option, Question } from "../wire/messages";
import { type Choice, type Entry, type Field, fieldFor, type Group, type Kind } from "./entries";
import type { FormWords } from "./words";

/** The entry for all questions. */
export function questionsEntry(questions: readonly Question[], words: FormWords): Group {
  const fields: readonly Entry[] = questions.map(questionField);
  return {
    type: "group",
    key: "",
    title: words.theValues,
    help: "",
    rationale: "",
    required: true,
    nullable: false,
    preset: undefined,
    schema: true,
    sequence: false,
    fixed: [],
    conditional: false,
    fieldsFor: () => fields,
  };
}

function questionField(question: Question): Field {
  const { kind, ...more } = inputField(question);
  const part = {
    key: question.questionId ?? "",
    title: question.title || question.questionId || "",
    help: question.help ?? "",
    rationale: question.rationale ?? "",
    required: question.required ?? false,
    nullable: false,
    preset: undefined,
    schema: true,
  };
  return fieldFor(part, kind, more);
}

/** A question of an input type that this page does not know is asked as JSON. */
function inputField(question: Question): Partial<Field> & { readonly kind: Kind } {
  const { boolean, single, multi, text, integer, number, date } = question;
  if (boolean) return { kind: "boolean", preset: boolean.defaultValue };
  if (single) {
    const { options = [], allowOther = false, defaultValue } = single;
    return { kind: "single", choices: options.map(choice), allowOther, preset: defaultValue };
  }
  if (multi) {
    const { options = [], allowOther = false, defaultValues = [], minItems, maxItems } = multi;
    const preset = defaultValues.length ? defaultValues : undefined;
    const bounds = { low: count(minItems), high: count(maxItems) };
    return { kind: "multi", choices: options.map(choice), allowOther, bounds, preset };
  }
  if (text) {
    const { minLength, maxLength, pattern = "", multiline = false, defaultValue } = text;
    const bounds = { low: count(minLength), high: count(maxLength) };
    return { kind: "text", bounds, pattern, multiline, preset: defaultValue };
  }
  const scalar = integer ?? number;
  if (scalar) {
    const bounds = { low: count(scalar.minimum), high: count(scalar.maximum) };
    const preset = count(scalar.defaultValue);
    const kind = integer ? "integer" : "number";
    return { kind, bounds, preset: preset === undefined ? undefined : new Num(preset) };
  }
  if (date) {
    const bounds = { low: date.minimum || undefined, high: date.maximum || undefined };
    return { kind: "date", bounds, preset: date.defaultValue };
  }
  return { kind: "json" };
}

function choice({ value = "", title = "", description = "", recommended = false }: Option): Choice {
  return { value, title, description, recommended };
}

/** A number of the contract as text; undefined for none, and for NaN and the infinities. */
function count(given: number | string | undefined): string | undefined {
  const number = given === undefined ? undefined : tryParse(`${given}`);
  return number instanceof Num ? number.text : undefined;
}
