// The table of all consoles, tests/forms/shapes.json: each shape renders, takes its values and returns them.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { equal } from "../src/forms/check";
import { CompositeNode } from "../src/forms/composite_node";
import { type Form, makeForm } from "../src/forms/form";
import { ItemsNode } from "../src/forms/items_node";
import { ChoiceNode, MultiNode, TextNode } from "../src/forms/leaf_nodes";
import type { Node } from "../src/forms/node";
import { format, isArray, isObject, type Json, type JsonObject, parse } from "../src/json/exact";
import type { Question } from "../src/wire/messages";
import { BERLIN, choose } from "./form_support";

const SHAPES = (parse(readFileSync("../../tests/forms/shapes.json", "utf8")) as readonly Json[]).filter(
  isObject,
);

const textOf = (shape: JsonObject, key: string) => shape.get(key) as string;

function formOf(shape: JsonObject): Form {
  const questions = shape.get("questions");
  if (!questions) return makeForm({ schemaJson: format(shape.get("schema") ?? null) }, BERLIN);
  return makeForm({ questions: { questions: JSON.parse(format(questions)) as Question[] } }, BERLIN);
}

function inputsOf(shape: JsonObject): readonly JsonObject[] {
  const inputs = shape.get("inputs");
  return isArray(inputs) ? inputs.filter(isObject).filter((one) => one.get("web") !== false) : [];
}

for (const shape of SHAPES) {
  const name = textOf(shape, "name");

  test(`${name}: the values of an answer come back unchanged, and through a draft`, () => {
    const form = formOf(shape);
    assert.ok(form.fill(textOf(shape, "values_json")));
    const values = form.values();
    assert.deepEqual(values, { json: textOf(shape, "values_json") });
    if (name === "secret") return;
    const again = formOf(shape);
    again.restore(form.inputs());
    assert.deepEqual(again.values(), values);
    assert.deepEqual(again.lost.value, []);
    assert.equal(again.inputs(), form.inputs());
  });

  test(`${name}: a JSON editor of all values takes and returns them`, () => {
    const form = formOf(shape);
    const { root } = form;
    if (!(root instanceof CompositeNode)) return;
    root.editAsJson();
    assert.ok(root.json);
    root.json.type(textOf(shape, "values_json"));
    assert.deepEqual(form.values(), { json: textOf(shape, "values_json") });
    assert.ok(root.editAsForm());
    assert.deepEqual(form.values(), { json: textOf(shape, "values_json") });
  });

  for (const input of inputsOf(shape)) {
    const typed = textOf(input, "typed");
    test(`${name}: ${JSON.stringify(typed)} means the same as in the terminal`, () => {
      const form = formOf(shape);
      const refused = input.get("refused");
      const node = form.root?.children()[0] ?? form.root;
      assert.ok(node);
      const found = type(node, typed);
      if (refused === undefined) {
        const { value, problems } = node.read();
        assert.deepEqual(
          problems.map(({ message }) => message),
          [],
        );
        assert.ok(value !== undefined && equal(value, input.get("value") ?? null), format(value ?? null));
      } else if (found) {
        assert.deepEqual(
          node.read().problems.map(({ message }) => message),
          [refused],
        );
      }
    });
  }
}

/** Types the text into the control that the page has for it. Returns false if no such choice is offered. */
function type(node: Node, typed: string): boolean {
  if (node instanceof ChoiceNode || (node instanceof MultiNode && !typed.startsWith("[")))
    return choose(node, typed);
  if (node instanceof TextNode) node.type(typed);
  else if (node instanceof CompositeNode && /^[[{]/.test(typed)) {
    node.editAsJson();
    node.json?.type(typed);
  } else if (node instanceof ItemsNode && typed) {
    node.add();
    node.paste(0, typed);
  }
  return true;
}
