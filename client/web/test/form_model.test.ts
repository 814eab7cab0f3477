import assert from "node:assert/strict";
import { test } from "node:test";
import { CompositeNode } from "../src/forms/composite_node";
import { makeForm } from "../src/forms/form";
import { TextNode } from "../src/forms/leaf_nodes";
import { type JsonObject, parse } from "../src/json/exact";
import { DE } from "../src/forms/words_de";
import {
  at,
  BERLIN,
  choice,
  choose,
  group,
  items,
  json,
  messages,
  multi,
  questionForm,
  schemaForm,
  text,
  union,
} from "./form_support";
import { random, randomText } from "./random";

const object = <T extends object>(properties: T, more: object = {}) => ({
  type: "object",
  properties,
  ...more,
});
const german = { ...BERLIN, words: DE };

test("a form without questions and schema has nothing to fill in", () => {
  const form = makeForm({ kind: "confirm", title: "Go?" });
  assert.equal(form.root, undefined);
  assert.deepEqual(form.values(), { json: "" });
  assert.ok(form.isComplete && !form.isTouched);
});

test("all seven inputs of the contract, with defaults, limits and other", () => {
  const options = [{ value: "a", title: "A" }, { value: "b" }];
  const form = questionForm([
    { questionId: "sure", boolean: { defaultValue: true } },
    { questionId: "one", single: { options, defaultValue: "b", allowOther: true } },
    { questionId: "some", multi: { options, defaultValues: ["a"], maxItems: 2, allowOther: true } },
    { questionId: "text", text: { defaultValue: "x", maxLength: 3 } },
    { questionId: "whole", integer: { defaultValue: "9007199254740993", maximum: "9223372036854775807" } },
    { questionId: "number", number: { defaultValue: 0.1, minimum: 0 } },
    { questionId: "day", date: { defaultValue: "2026-12-01", minimum: "2026-11-01" } },
  ]);
  assert.equal(
    json(form),
    '{"sure":true,"one":"b","some":["a"],"text":"x","whole":9007199254740993,"number":0.1,"day":"2026-12-01"}',
  );
  assert.ok(!form.isTouched);
  choice(form, "one").typeOther("elsewhere");
  multi(form, "some").typeOther("c\nd, e\n");
  text(form, "text").type("🙂🙂🙂🙂");
  text(form, "whole").type("9223372036854775808");
  text(form, "number").type("-1");
  text(form, "day").type("2026-10-31");
  assert.deepEqual(messages(form), [
    "some: must have at most 2 choices",
    "text: must have at most 3 characters",
    "whole: must be at most 9223372036854775807",
    "number: must be at least 0",
    "day: must be at least 2026-11-01",
  ]);
  multi(form, "some").typeOther("d, e");
  for (const [name, typed] of [
    ["text", "🙂🙂🙂"],
    ["whole", "-9223372036854775808"],
    ["number", "1e-7"],
    ["day", "2026-11-01"],
  ] as const) {
    text(form, name).type(typed);
  }
  assert.equal(
    json(form),
    '{"sure":true,"one":"elsewhere","some":["a","d, e"],"text":"🙂🙂🙂","whole":-9223372036854775808,"number":1e-7,"day":"2026-11-01"}',
  );
});

test("an unknown input of a newer service is asked as JSON", () => {
  const form = questionForm([{ questionId: "new", title: "New", required: true }]);
  text(form, "new").type('{"a": 1.0}');
  assert.equal(json(form), '{"new":{"a":1.0}}');
});

test("an emptied field stays empty", () => {
  const form = schemaForm(
    object({
      a: { type: "integer", default: 5 },
      b: { type: "string", default: "x" },
      c: { type: ["integer", "null"], default: 5 },
      d: { type: "array", items: { enum: ["p", "q"] }, default: ["p"] },
    }),
  );
  assert.equal(json(form), '{"a":5,"b":"x","c":5,"d":["p"]}');
  for (const name of ["a", "b", "c"]) text(form, name).type("");
  const p = multi(form, "d").entry.choices[0];
  assert.ok(p);
  multi(form, "d").choose(p, false);
  // Without the null and the empty list, a program would put its default there again.
  assert.equal(json(form), '{"c":null,"d":[]}');
});

test("numbers in German: a comma before the fraction, no points between thousands", () => {
  const form = schemaForm(object({ n: { type: "number" }, i: { type: "integer" } }), german);
  const cases: [string, string | undefined][] = [
    ["1,5", "1.5"],
    ["1.5", "1.5"],
    ["100.000", undefined],
    ["1.000,5", undefined],
    ["1,000", "1.000"],
    ["1.000.000", undefined],
    ["1,5,0", undefined],
    ["12.34", "12.34"],
  ];
  for (const [typed, sent] of cases) {
    text(form, "n").type(typed);
    const values = form.values();
    assert.equal("json" in values ? values.json : undefined, sent && `{"n":${sent}}`, typed);
  }
  text(form, "n").type("100.000");
  assert.deepEqual(messages(form), ["n: muss ohne Tausenderpunkte geschrieben werden, etwa 100000"]);
  text(form, "n").type("");
  text(form, "i").type("1.000");
  assert.deepEqual(messages(form), ["i: muss ohne Tausenderpunkte geschrieben werden, etwa 1000"]);
});

test("numbers in English: no comma at all", () => {
  const form = schemaForm(object({ n: { type: "number" } }));
  for (const typed of ["1,5", "1,000", "1 000", "0x10", "1e", "--1", "Infinity", "١", "1e999"]) {
    text(form, "n").type(typed);
    assert.equal(messages(form).length, 1, typed);
  }
});

test("a multiple is checked exactly", () => {
  const form = schemaForm(object({ n: { type: "number", multipleOf: 0.01 } }));
  text(form, "n").type("0.29");
  assert.equal(json(form), '{"n":0.29}');
  text(form, "n").type("0.295");
  assert.deepEqual(messages(form), ["n: must be a multiple of 0.01"]);
});

const REASON = object(
  { reason: { enum: ["damaged", "other"] } },
  {
    required: ["reason"],
    if: { properties: { reason: { const: "other" } }, required: ["reason"] },
    then: { properties: { note: { type: "string" } }, required: ["note"] },
    else: { properties: { photo: { type: "string" } } },
  },
);
const names = (form: ReturnType<typeof schemaForm>) =>
  (form.root?.children() ?? []).map(({ entry }) => entry.key);

test("a condition shows its fields, and each branch keeps what was typed", () => {
  const form = schemaForm(REASON);
  assert.deepEqual(names(form), ["reason", "photo"]);
  text(form, "photo").type("https://a.example");
  choose(choice(form, "reason"), "other");
  assert.deepEqual(names(form), ["reason", "note"]);
  assert.deepEqual(messages(form), ["note: must be given"]);
  text(form, "note").type("wet");
  assert.equal(json(form), '{"reason":"other","note":"wet"}');
  choose(choice(form, "reason"), "damaged");
  assert.equal(json(form), '{"reason":"damaged","photo":"https://a.example"}');
  choose(choice(form, "reason"), "other");
  assert.equal(text(form, "note").text, "wet");
});

test("a draft keeps the fields of branches that are not shown", () => {
  const form = schemaForm(REASON);
  text(form, "photo").type("p");
  choose(choice(form, "reason"), "other");
  text(form, "note").type("n");
  const again = schemaForm(REASON);
  again.restore(form.inputs());
  assert.deepEqual(again.lost.value, []);
  assert.equal(json(again), '{"reason":"other","note":"n"}');
  assert.equal(again.inputs(), form.inputs());
  choose(choice(again, "reason"), "damaged");
  assert.equal(json(again), '{"reason":"damaged","photo":"p"}');
});

test("conditions in allOf, that depend on each other, and that change a field", () => {
  const has = (name: string, value: unknown) => ({
    properties: { [name]: { const: value } },
    required: [name],
  });
  const form = schemaForm(
    object(
      { a: { enum: ["x", "y"] }, limit: { type: "integer", title: "Limit" } },
      {
        allOf: [
          { if: has("a", "y"), then: { properties: { b: { type: "boolean" } }, required: ["limit"] } },
          { if: has("b", true), then: { properties: { c: { type: "string" }, limit: { maximum: 3 } } } },
        ],
      },
    ),
  );
  assert.deepEqual(names(form), ["a", "limit"]);
  choose(choice(form, "a"), "y");
  assert.deepEqual(names(form), ["a", "limit", "b"]);
  text(form, "limit").type("5");
  assert.equal(json(form), '{"a":"y","limit":5}');
  choose(choice(form, "b"), "true");
  assert.deepEqual(names(form), ["a", "limit", "b", "c"]);
  assert.deepEqual(messages(form), ["limit: must be at most 3"]);
  text(form, "limit").type("");
  assert.deepEqual(messages(form), ["limit: must be given"]);
  assert.equal(at(form, "limit").entry.title, "Limit");
});

test("a field that another one needs becomes required with it", () => {
  const form = schemaForm(
    object(
      { card: { type: "string" }, address: { type: "string" } },
      { dependentRequired: { card: ["address"] } },
    ),
  );
  assert.equal(json(form), "{}");
  text(form, "card").type("1");
  assert.deepEqual(messages(form), ["address: must be given"]);
});

const UNION = object(
  {
    pay: {
      title: "Pay",
      oneOf: [
        object(
          { kind: { const: "card" }, name: { type: "string" }, digits: { type: "string" } },
          { title: "Card", required: ["digits"] },
        ),
        object(
          { kind: { const: "bank" }, name: { type: "string" }, iban: { type: "string", default: "DE" } },
          { title: "Bank" },
        ),
      ],
    },
  },
  { required: ["pay"] },
);

test("each variant keeps its own values, and only the chosen one is sent", () => {
  const form = schemaForm(UNION);
  assert.deepEqual(messages(form), ["pay: must be chosen"]);
  const pay = union(form, "pay");
  pay.choose("Card");
  text(form, "pay/digits").type("1234");
  text(form, "pay/name").type("Ana");
  assert.equal(json(form), '{"pay":{"kind":"card","name":"Ana","digits":"1234"}}');
  pay.choose("Bank");
  // A field that both have starts with what was typed; the default of the first is not carried over.
  assert.equal(json(form), '{"pay":{"kind":"bank","name":"Ana","iban":"DE"}}');
  text(form, "pay/name").type("Bob");
  pay.choose("Card");
  assert.equal(json(form), '{"pay":{"kind":"card","name":"Ana","digits":"1234"}}');
  const again = schemaForm(UNION);
  again.restore(form.inputs());
  assert.equal(json(again), json(form));
  union(again, "pay").choose("Bank");
  assert.equal(json(again), '{"pay":{"kind":"bank","name":"Bob","iban":"DE"}}');
});

test("rules about combinations are no variants", () => {
  const form = schemaForm(
    object(
      { a: { type: "string" }, b: { type: "string" } },
      { anyOf: [{ required: ["a"] }, { required: ["b"] }] },
    ),
  );
  assert.deepEqual(names(form), ["a", "b"]);
  assert.deepEqual(messages(form), [": fits none of the kinds that are allowed"]);
  text(form, "b").type("x");
  assert.equal(json(form), '{"b":"x"}');
});

const LINES = object(
  {
    lines: {
      type: "array",
      minItems: 1,
      maxItems: 3,
      items: object({ name: { type: "string" }, count: { type: "integer" } }, { required: ["name"] }),
    },
  },
  { required: ["lines"] },
);

test("items are added, moved, removed and put back with what was typed", () => {
  const form = schemaForm(LINES);
  const lines = items(form, "lines");
  assert.equal(lines.items.length, 1);
  for (const name of ["a", "b", "c", "d"].entries()) {
    if (name[0]) lines.add();
    text(form, `lines/${name[0]}/name`).type(name[1]);
  }
  assert.deepEqual(messages(form), ["lines: must have at least 1 and at most 3 values"]);
  lines.remove(1);
  lines.move(2, -1);
  assert.equal(json(form), '{"lines":[{"name":"a"},{"name":"d"},{"name":"c"}]}');
  lines.remove(0);
  lines.putBack();
  assert.equal(json(form), '{"lines":[{"name":"a"},{"name":"d"},{"name":"c"}]}');
  const again = schemaForm(LINES);
  again.restore(form.inputs());
  assert.equal(json(again), json(form));
});

test("values by name need different names", () => {
  const form = schemaForm({
    type: "object",
    additionalProperties: { type: "integer" },
    propertyNames: { enum: ["x", "y"] },
  });
  const { root } = form;
  assert.ok(root);
  const all = items(form, "");
  for (const name of ["x", "x", "z"]) {
    const item = all.add();
    all.rename(item, name);
    (item.node as TextNode).type("1");
  }
  assert.deepEqual(messages(form), [
    ": 'x' must not be there twice",
    ": 'z' is not offered; it must be one of: x, y",
  ]);
  all.remove(2);
  all.rename(all.items[1] ?? all.add(), "y");
  assert.equal(json(form), '{"x":1,"y":1}');
});

test("an object that may be left out keeps its fields while it is closed", () => {
  const form = schemaForm(object({ geo: object({ lat: { type: "number" } }, { required: ["lat"] }) }));
  assert.equal(json(form), "{}");
  const geo = group(form, "geo");
  geo.setOpen(true);
  assert.deepEqual(messages(form), ["lat: must be given"]);
  text(form, "geo/lat").type("1.0");
  geo.setOpen(false);
  assert.equal(json(form), "{}");
  geo.setOpen(true);
  assert.equal(json(form), '{"geo":{"lat":1.0}}');
});

test("a schema that no field can show is a JSON editor, with the place of an error", () => {
  const form = schemaForm(object({ any: { title: "Any" } }));
  const any = text(form, "any");
  any.type('{"a": 1,\n "a": 2}');
  assert.deepEqual(messages(form), ["any: has the name “a” twice in one object (line 2, column 2)"]);
  assert.equal(any.errorOffset(), 10);
  any.type('{"a": 12345678901234567890.10}');
  assert.equal(any.errorOffset(), undefined);
  assert.equal(json(form), '{"any":{"a":12345678901234567890.10}}');
});

test("a schema that is broken is a JSON editor for all values", () => {
  for (const schema of [
    "{",
    "[]",
    '"x"',
    '{"type":"object","properties":7}',
    '{"$ref":"#"}',
    '{"allOf":[{"$ref":"#/allOf/0"}]}',
  ]) {
    const form = schemaForm(schema);
    const { root } = form;
    assert.ok(root, schema);
    if (root instanceof TextNode) {
      root.type('{"a":1}');
      assert.equal(json(form), '{"a":1}', schema);
    }
  }
});

test("JSON in the editor of a value is checked by its schema while it is typed", () => {
  const form = schemaForm(LINES);
  const lines = items(form, "lines");
  lines.editAsJson();
  const said = (typed: string) => {
    lines.json?.type(typed);
    return messages(form);
  };
  assert.deepEqual(said("{}"), ["lines: must be a list"]);
  assert.deepEqual(said("[]"), ["lines: must have at least 1 and at most 3 values"]);
  assert.deepEqual(said('[{"count": 1.5, "name": "x"}]'), ["lines: 0/count: must be an integer"]);
  assert.deepEqual(said('[{"count": 1}]'), ["lines: 0/name: is required"]);
  assert.deepEqual(said('[{"name": "x", "count": 1.0}]'), []);
  assert.ok(lines.editAsForm());
  assert.equal(json(form), '{"lines":[{"name":"x","count":1.0}]}');
});

test("values without a field are kept and sent", () => {
  const form = schemaForm(object({ a: { type: "string" } }));
  assert.ok(form.fill('{"a":"x","more":[1.0]}'));
  assert.equal(json(form), '{"a":"x","more":[1.0]}');
});

test("what the service refused stands at its field until that is changed", () => {
  const form = schemaForm(
    object({ lines: LINES.properties.lines, "a/b": { type: "string" }, pay: UNION.properties.pay }),
  );
  items(form, "lines").add();
  union(form, "pay").choose("Card");
  const first = form.setViolations([
    { field: "values_json/pay/digits", description: "does not match" },
    { field: "values_json/a~1b", description: "is a secret" },
    { field: "values_json/lines/0/name", description: "is required" },
    { field: "values_json/lines/7", description: "is odd" },
    { field: "comment", description: "is required" },
  ]);
  assert.equal(first, items(form, "lines"));
  assert.deepEqual(items(form, "lines").refusals.value, ["7: is odd"]);
  assert.deepEqual(at(form, "lines/0/name").refusals.value, ["is required"]);
  assert.deepEqual(at(form, "pay/digits").refusals.value, ["does not match"]);
  const slashed = form.root?.at(["a/b"]);
  assert.deepEqual(slashed?.refusals.value, ["is a secret"]);
  assert.deepEqual(
    form.refusals.value.map(({ field }) => field),
    ["comment"],
  );
  text(form, "pay/digits").type("1");
  assert.deepEqual(at(form, "pay/digits").refusals.value, []);
  assert.deepEqual(at(form, "lines/0/name").refusals.value, ["is required"]);
  form.setViolations([]);
  assert.deepEqual(at(form, "lines/0/name").refusals.value, []);
});

test("a draft of an older form: what fits is filled in, the rest is text", () => {
  const old = schemaForm(
    object({
      same: { type: "string" },
      gone: { type: "string", title: "Gone" },
      retyped: { type: "string" },
      choice: { enum: ["a", "b"] },
      other: { enum: ["x", "y"] },
      deep: object({ inner: { type: "string" } }),
      list: { type: "array", items: { type: "string" } },
    }),
  );
  for (const [name, typed] of [
    ["same", "1"],
    ["gone", "two\nlines"],
    ["retyped", "12x"],
  ] as const)
    text(old, name).type(typed);
  choose(choice(old, "choice"), "b");
  choose(choice(old, "other"), "y");
  group(old, "deep").setOpen(true);
  text(old, "deep/inner").type("deep text");
  items(old, "list").add();
  text(old, "list/0").type("item");
  const now = schemaForm(
    object({
      retyped: { type: "integer" },
      same: { type: "string" },
      choice: { enum: ["a", "c"] },
      other: { type: "string" },
      deep: { type: "boolean" },
      list: { type: "string" },
    }),
  );
  now.restore(old.inputs());
  assert.equal(text(now, "same").text, "1");
  assert.equal(text(now, "retyped").text, "12x");
  assert.equal(text(now, "other").text, "y");
  assert.equal(text(now, "list").text, "item");
  assert.deepEqual(now.lost.value, [
    { where: "choice", text: "b" },
    { where: "deep", text: "deep text" },
    { where: "gone", text: "two\nlines" },
  ]);
  const none = makeForm({});
  none.restore(old.inputs());
  assert.ok(none.lost.value[0]?.text.includes("deep text"));
  none.restore("not JSON");
  assert.deepEqual(none.lost.value, [{ where: "", text: "not JSON" }]);
});

test("text without a place stays in the draft until it is discarded", () => {
  const old = schemaForm(object({ gone: { type: "string" }, kept: { type: "string" } }));
  text(old, "gone").type("two days of work");
  const schema = object({ kept: { type: "string" } });
  const now = schemaForm(schema);
  now.restore(old.inputs());
  text(now, "kept").type("more");
  const again = schemaForm(schema);
  again.restore(now.inputs());
  assert.deepEqual(again.lost.value, [{ where: "gone", text: "two days of work" }]);
  assert.equal(json(again), '{"kept":"more"}');
  assert.ok(again.isTouched);
  again.dropLost();
  text(again, "kept").type("");
  assert.ok(!again.isTouched);
});

test("values that the fields cannot show are shown as JSON", () => {
  const form = schemaForm(object({ n: { type: "integer" } }));
  assert.ok(form.fill('{"n":"twelve","more":1.0}'));
  assert.deepEqual(messages(form), [": n: must be an integer"]);
  const { root } = form;
  assert.ok(root instanceof CompositeNode);
  assert.equal(root.json?.text, '{\n  "n": "twelve",\n  "more": 1.0\n}');
});

test("a form that is shown again does not show corrected refusals again", () => {
  const form = schemaForm(object({ a: { type: "string" } }));
  const refused = [{ field: "values_json/a", description: "is taken" }];
  assert.equal(form.setViolations(refused), at(form, "a"));
  text(form, "a").type("b");
  assert.equal(form.setViolations(refused), undefined);
  assert.deepEqual(at(form, "a").refusals.value, []);
  assert.equal(form.setViolations([...refused]), at(form, "a"));
});

test("a half-typed value survives in a draft", () => {
  const schema = object({ n: { type: "integer" }, when: { type: "string", format: "date-time" }, any: {} });
  const form = schemaForm(schema);
  text(form, "n").type("12,");
  text(form, "when").type("2026-12-01 9");
  text(form, "any").type('{"a": ');
  const again = schemaForm(schema);
  again.restore(form.inputs());
  assert.deepEqual(
    ["n", "when", "any"].map((name) => text(again, name).text),
    ["12,", "2026-12-01 9", '{"a": '],
  );
  assert.ok(again.isTouched);
});

test("a secret is sent and enters no draft", () => {
  const schema = object({
    token: { type: "string", writeOnly: true },
    nested: { contains: { format: "password" } },
  });
  const form = schemaForm(schema);
  text(form, "token").type("swordfish");
  text(form, "nested").type('"swordfish"');
  assert.ok(!form.inputs().includes("swordfish"));
  assert.ok(text(form, "nested").entry.secret);
});

test("references that multiply end in JSON and not in a frozen page", () => {
  const form = schemaForm({
    type: "object",
    $defs: { N: object({ l: { $ref: "#/$defs/N" }, r: { $ref: "#/$defs/N" }, m: { $ref: "#/$defs/N" } }) },
    properties: { n: { $ref: "#/$defs/N" } },
    required: ["n"],
  });
  assert.equal(json(form), '{"n":{}}');
});

test("a browser's date control that is half filled in is not an empty field", () => {
  const form = schemaForm(object({ day: { type: "string", format: "date" } }));
  text(form, "day").type("", true);
  assert.deepEqual(messages(form), ["day: is not complete: fill in all parts, or clear it"]);
  text(form, "day").type("");
  assert.equal(json(form), "{}");
});

test("the order of fields and values is the order of the schema", () => {
  const schema =
    '{"type":"object","properties":{"z":{"type":"string"},"10":{"type":"string"},"2":{"type":"string"},"a":{"type":"string"}}}';
  const form = schemaForm(schema);
  assert.deepEqual(names(form), ["z", "10", "2", "a"]);
  for (const name of ["a", "2", "10", "z"]) text(form, name).type(name);
  assert.equal(json(form), '{"z":"z","10":"10","2":"2","a":"a"}');
});

test("a name such as __proto__ is a name like any other", () => {
  const form = schemaForm(
    '{"type":"object","properties":{"__proto__":{"type":"string"},"constructor":{"type":"string"}}}',
  );
  text(form, "__proto__").type("x");
  text(form, "constructor").type("y");
  assert.equal(json(form), '{"__proto__":"x","constructor":"y"}');
  assert.equal(({} as { x?: unknown }).x, undefined);
});

test("a form with many nested fields ends in JSON and not in a frozen page", () => {
  let schema: object = { type: "string" };
  for (let depth = 0; depth < 12; depth += 1)
    schema = object({ a: schema, b: { type: "string" } }, { required: ["a"] });
  const form = schemaForm(schema);
  assert.equal(at(form, "a/a/a/a/a/a/a/a/a").entry.type, "field");
  const wide = object(
    Object.fromEntries(Array.from({ length: 2500 }, (_, n) => [`f${n}`, { type: "string" }])),
  );
  assert.equal(schemaForm(wide).root?.children().length, 2500);
  assert.equal(text(schemaForm(wide), "f2400").entry.kind, "json");
});

test("any values come back char by char: from fields, from a JSON editor, from a draft", () => {
  const free = () =>
    schemaForm({ type: "object", properties: { any: { title: "Any" } }, additionalProperties: true });
  const byName = () => schemaForm({ type: "object", additionalProperties: true });
  let objects = 0;
  for (let seed = 1; objects < 400; seed += 1) {
    const found = randomText(random(seed));
    if (!found.startsWith("{")) continue;
    objects += 1;
    for (const make of [free, byName]) {
      const form = make();
      assert.ok(form.fill(found));
      assert.equal(json(form), found, `seed ${seed}`);
      const again = make();
      again.restore(form.inputs());
      // In a draft a name is what was typed, and spaces around it do not count.
      const names = [...(parse(found) as JsonObject).keys()];
      if (names.every((name) => name && name === name.trim()))
        assert.equal(json(again), found, `seed ${seed}`);
    }
    const form = free();
    text(form, "any").type(found);
    assert.equal(json(form), `{"any":${found}}`, `seed ${seed}`);
  }
});

test("a chain of conditions is filled in to its end, and comes back from a draft", () => {
  const names = [...Array(30).keys()];
  const steps = names.map((n) => ({
    if: { properties: { [`f${n}`]: { const: "y" } }, required: [`f${n}`] },
    then: { properties: { [`f${n + 1}`]: { type: "string" } } },
  }));
  const schema = { type: "object", properties: { f0: { type: "string" } }, allOf: steps };
  const form = schemaForm(schema);
  const values = JSON.stringify(Object.fromEntries([...names, 30].map((n) => [`f${n}`, "y"])));
  assert.ok(form.fill(values));
  assert.equal(form.root?.children().length, 31);
  assert.equal(json(form), values);
  const again = schemaForm(schema);
  again.restore(form.inputs());
  assert.equal(json(again), values);
  text(again, "f0").type("n");
  assert.equal(json(again), '{"f0":"n"}');
  text(again, "f0").type("y");
  assert.equal(json(again), values);
});
