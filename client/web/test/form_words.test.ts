import assert from "node:assert/strict";
import { test } from "node:test";
import { hintOf } from "../src/forms/hints";
import { DE } from "../src/forms/words_de";
import { EN } from "../src/forms/words_en";
import { at, BERLIN, choice, json, messages, multi, questionForm, schemaForm, text } from "./form_support";

const german = { ...BERLIN, words: DE };
const object = (properties: unknown, more: object = {}) => ({ type: "object", properties, ...more });

test("a pattern is no text for people: the hint and what is wrong say the form in words", () => {
  const pattern = '^[^@ ]+@"[a-z]+$';
  const schema = object({
    bare: { type: "string", pattern },
    told: { type: "string", pattern, description: "Your account" },
    shown: { type: "string", pattern, examples: ["ana@example"] },
  });
  const form = schemaForm(schema);
  const hint = (name: string, words = EN) => hintOf(text(form, name).entry, words);
  assert.deepEqual(
    ["bare", "told", "shown"].map((name) => hint(name)),
    ["must have a certain form", "", "such as ana@example"],
  );
  assert.equal(hint("bare", DE), "muss eine bestimmte Form haben");
  // The service has the pattern in its words: as it is for typed questions, as JSON for schemas.
  const said = (description: string, name = "bare") =>
    form.problemOf({ field: `values_json/${name}`, description })?.message;
  assert.equal(said(`must match the pattern ${pattern}`), "does not have the required form");
  assert.equal(
    said(`the value does not match ${JSON.stringify(pattern)}`),
    "does not have the required form",
  );
  assert.equal(
    said(`must match the pattern ${pattern}`, "shown"),
    "does not have the required form, such as ana@example",
  );
  assert.equal(said("is a secret"), "is a secret");
  assert.equal(form.problemOf({ field: "comment", description: "is required" }), undefined);
});

test("a typed question with a pattern has the words too", () => {
  const form = questionForm([{ questionId: "mail", text: { pattern: "^.+@.+$" } }], german);
  assert.equal(hintOf(text(form, "mail").entry, DE), "muss eine bestimmte Form haben");
  const problem = form.problemOf({
    field: "values_json/mail",
    description: "must match the pattern ^.+@.+$",
  });
  assert.equal(problem?.message, "hat nicht die verlangte Form");
});

test("limits are written as the reader writes numbers, and days as they are", () => {
  const number = { type: "number", minimum: 0.1, exclusiveMaximum: 2.5, multipleOf: 0.05 };
  const schema = object({ n: number, day: { type: "string", format: "date", formatMinimum: "2026-01-01" } });
  const form = schemaForm(schema, german);
  assert.equal(
    hintOf(text(form, "n").entry, DE),
    "eine Zahl; mindestens 0,1 und weniger als 2,5; ein Vielfaches von 0,05",
  );
  assert.equal(
    hintOf(text(form, "n").entry, EN),
    "a number; at least 0.1 and less than 2.5; a multiple of 0.05",
  );
  text(form, "n").type("0,01");
  assert.deepEqual(messages(form), ["n: muss mindestens 0,1 und weniger als 2,5 sein"]);
  text(form, "n").type("0,12");
  assert.deepEqual(messages(form), ["n: muss ein Vielfaches von 0,05 sein"]);
  text(form, "n").type("");
  text(form, "day").type("2025-12-31");
  assert.deepEqual(messages(form), ["day: muss mindestens 2026-01-01 sein"]);
});

test("one entry is not counted as several", () => {
  const list = { title: "Lines", type: "array", minItems: 1, items: object({ a: { type: "string" } }) };
  const word = { title: "Word", type: "string", minLength: 1, maxLength: 1 };
  const form = schemaForm(object({ list, word }));
  const hints = (words = EN) => ["list", "word"].map((name) => hintOf(at(form, name).entry, words));
  assert.deepEqual(hints(), ["at least 1 value", "at least 1 and at most 1 character"]);
  assert.deepEqual(hints(DE), ["mindestens 1 Eintrag", "mindestens 1 und höchstens 1 Zeichen"]);
});

test("half a surrogate pair and NUL are refused in JSON too, where they are escapes", () => {
  const form = schemaForm(object({ any: { title: "Any" } }));
  for (const typed of ['"\\ud800"', '["a", {"b": "\\udc00x"}]', '{"\\ud800": 1}', '"\\u0000"']) {
    text(form, "any").type(typed);
    assert.deepEqual(messages(form), ["any: contains a character that cannot be sent"], typed);
  }
  text(form, "any").type('"\\ud83d\\ude00"');
  assert.equal(json(form), '{"any":"😀"}');
});

test("what was typed is copied as titles and values, without secrets", () => {
  const schema = object({
    account: { type: "string", title: "Account" },
    count: { type: "integer", title: "Count" },
    sure: { type: "boolean", title: "Sure" },
    colours: { type: "array", title: "Colours", items: { enum: ["red", "blue"] }, uniqueItems: true },
    key: { type: "string", title: "Key", writeOnly: true },
    untouched: { type: "string", title: "Untouched", default: "as it was" },
  });
  const form = schemaForm(schema);
  assert.equal(form.asText(), "");
  text(form, "account").type("ana");
  text(form, "count").type("many");
  text(form, "key").type("hidden");
  choice(form, "sure").choose(choice(form, "sure").choices[0]);
  const colours = multi(form, "colours");
  for (const one of colours.entry.choices) colours.choose(one, true);
  assert.equal(form.asText(), "Account: ana\nCount: many\nSure: Yes\nColours: red, blue");
});
