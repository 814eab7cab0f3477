import assert from "node:assert/strict";
import { plain } from "../src/forms/check";
import { type Form, makeForm } from "../src/forms/form";
import type { Settings } from "../src/forms/formats";
import { GroupNode } from "../src/forms/group_node";
import { ItemsNode } from "../src/forms/items_node";
import { ChoiceNode, MultiNode, TextNode } from "../src/forms/leaf_nodes";
import type { Node } from "../src/forms/node";
import { VariantsNode } from "../src/forms/variants_node";
import type { Question } from "../src/wire/messages";

export const BERLIN: Partial<Settings> = { zone: "Europe/Berlin" };

export function schemaForm(schema: unknown, settings: Partial<Settings> = BERLIN): Form {
  return makeForm({ schemaJson: typeof schema === "string" ? schema : JSON.stringify(schema) }, settings);
}

export function questionForm(questions: readonly Question[], settings: Partial<Settings> = BERLIN): Form {
  return makeForm({ questions: { questions } }, settings);
}

export function json(form: Form): string {
  const values = form.values();
  assert.ok("json" in values, `problems: ${messages(form).join("; ")}`);
  return values.json;
}

export function messages(form: Form): string[] {
  const values = form.values();
  return "problems" in values
    ? values.problems.map(({ node, message }) => `${node.entry.key}: ${message}`)
    : [];
}

/** The node at a path, such as `address/street`. */
export function at(form: Form, path = ""): Node {
  assert.ok(form.root);
  return form.root.at(path ? path.split("/") : []);
}

function nodeAs<T extends Node>(node: Node, type: abstract new (...given: never[]) => T): T {
  assert.ok(node instanceof type, `${node.entry.key} is a ${node.constructor.name}, not a ${type.name}`);
  return node;
}

export const text = (form: Form, path: string) => nodeAs(at(form, path), TextNode);
export const choice = (form: Form, path: string) => nodeAs(at(form, path), ChoiceNode);
export const multi = (form: Form, path: string) => nodeAs(at(form, path), MultiNode);
export const group = (form: Form, path: string) => nodeAs(at(form, path), GroupNode);
export const items = (form: Form, path: string) => nodeAs(at(form, path), ItemsNode);

/** The union at a path: `at` would lead to the variant that is chosen. */
export function union(form: Form, path: string): VariantsNode {
  let node: Node = at(form, path);
  while (!(node instanceof VariantsNode)) {
    assert.ok(node.parent, `no union at ${path}`);
    node = node.parent;
  }
  return node;
}

/** Chooses by value or title; returns false if there is no such choice. */
export function choose(node: ChoiceNode | MultiNode, typed: string): boolean {
  const wanted = typed.toLowerCase();
  const choices = node instanceof ChoiceNode ? node.choices : node.entry.choices;
  const found = choices.find(({ value, title }) =>
    [plain(value), title].some((name) => name.toLowerCase() === wanted),
  );
  if (!found) return false;
  if (node instanceof ChoiceNode) node.choose(found);
  else node.choose(found, true);
  return true;
}
