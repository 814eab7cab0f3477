/** A form: made from the content of a prompt, filled in by a person, read as the values of an answer. */

import { batch, type Signal, signal } from "@preact/signals-core";
import { format, isArray, isObject, type Json, parse, tryParse } from "../json/exact";
import { pointerSteps } from "../json/pointer";
import type { FieldViolation, PromptContent } from "../wire/messages";
import { Checker, plain } from "./check";
import { CompositeNode } from "./composite_node";
import { type Entry, fieldFor } from "./entries";
import type { Settings } from "./formats";
import { makeNode } from "./make_node";
import { type Ground, type Lost, type Node, type Problem, textsIn } from "./node";
import { questionsEntry } from "./question_entries";
import { schemaEntry } from "./schema_entries";
import { type Schema, schemaOf } from "./schema_shapes";
import type { FormWords } from "./words";
import { EN } from "./words_en";
import { localZone } from "./zones";

/** The values as JSON text, or what stands in their way, in the order of the fields. */
type Values = { readonly json: string } | { readonly problems: readonly Problem[] };

let made = 0;

export class Form {
  /** Undefined: there is nothing to fill in. */
  readonly root: Node | undefined;
  /** Text of an older draft that has no place here. */
  readonly lost: Signal<readonly Lost[]> = signal([]);
  /** What the service refused and no field shows. */
  readonly refusals: Signal<readonly FieldViolation[]> = signal([]);
  /** Whether problems are shown in fields where the person has not been. */
  readonly revealed = signal(false);
  /** Rises with every change that a person makes. */
  readonly changes = signal(0);
  private readonly ground: Ground;
  private readonly opened: string;
  private shownViolations: readonly FieldViolation[] = [];

  constructor(entry: Entry | undefined, schema: Schema, settings: Settings) {
    made += 1;
    const prefix = `form${made}`;
    let nodes = 0;
    this.ground = {
      settings,
      schema,
      checker: new Checker(schema, settings.words),
      make: (below, parent) => makeNode(this.ground, below, parent),
      nextId: () => {
        nodes += 1;
        return `${prefix}-${nodes}`;
      },
      changed: () => {
        this.changes.value += 1;
      },
    };
    this.root = entry && makeNode(this.ground, entry, undefined);
    this.opened = this.inputs();
  }

  get words(): FormWords {
    return this.ground.settings.words;
  }

  get isComplete(): boolean {
    return "json" in this.values();
  }

  /** Whether the person typed something that no answer has yet. */
  get isTouched(): boolean {
    return this.inputs() !== this.opened;
  }

  values(): Values {
    if (!this.root) return { json: "" };
    const { value, problems } = this.root.read();
    if (problems.length) return { problems };
    const found = value ?? new Map<string, Json>();
    if (!isObject(found))
      return { problems: [{ node: this.root, message: this.words.mustBeType(["object"]) }] };
    const violations = this.ground.checker.violations(this.ground.schema, found);
    if (!violations.length) return { json: format(found) };
    const { root } = this;
    return { problems: violations.map(({ path, message }) => problemAt(root.at(path), path, message)) };
  }

  /** Shows all problems at their fields. Returns the first node that has one. */
  reveal(): Node | undefined {
    this.revealed.value = true;
    const values = this.values();
    const problems = "problems" in values ? values.problems : [];
    for (const { node, message } of problems) {
      // Of rules over several fields no node knows by itself.
      const own = node.read().problems.some((problem) => problem.node === node);
      if (!own) node.refusals.value = [message];
    }
    return problems[0]?.node;
  }

  /** The field that a violation is about, and what is wrong there in words; undefined where no field shows it. */
  problemOf({ field = "", description = "" }: FieldViolation): Problem | undefined {
    const path = pathOf(field);
    const node = path && this.root?.at(path);
    return node ? problemAt(node, path, withoutPattern(node, description, this.words)) : undefined;
  }

  /** Shows what the service refused at the fields. Returns the first node, in the order of the form. */
  setViolations(violations: readonly FieldViolation[]): Node | undefined {
    // The same list again, when the form is shown again: what was corrected since stays so.
    if (violations === this.shownViolations) return undefined;
    this.shownViolations = violations;
    const elsewhere: FieldViolation[] = [];
    const found = new Map<Node, string[]>();
    for (const violation of violations) {
      const problem = this.problemOf(violation);
      if (problem === undefined) elsewhere.push(violation);
      else found.set(problem.node, [...(found.get(problem.node) ?? []), problem.message]);
    }
    this.refusals.value = elsewhere;
    batch(() => {
      for (const node of this.nodes()) node.refusals.value = found.get(node) ?? [];
    });
    return this.nodes().find((node) => found.has(node));
  }

  /** All nodes that are shown, in order. */
  nodes(): readonly Node[] {
    const below = (node: Node): readonly Node[] => [node, ...node.children().flatMap(below)];
    return this.root ? below(this.root) : [];
  }

  /** What the person typed, as exact JSON text, for a draft. Secrets are not in it. */
  inputs(): string {
    const inputs = this.root?.inputs() ?? null;
    const lost = this.lost.peek().map(({ where, text }) => [where, text]);
    return format(
      lost.length
        ? new Map<string, Json>([
            ["lost", lost],
            ["inputs", inputs],
          ])
        : inputs,
    );
  }

  /** What the person typed, as text for people: each field with its title. Secrets are not in it. */
  asText(): string {
    const typed = this.nodes().filter((node) => !node.children().length && node.inputs() !== undefined);
    const fields = typed.map((node) => [node.entry.title, textOf(node, this.words)]);
    const lost = this.lost.peek().map(({ where, text }) => [where, text]);
    return [...fields, ...lost].map((parts) => parts.filter(Boolean).join(": ")).join("\n");
  }

  /** Fills a draft in. What has no place in this form goes to `lost`. */
  restore(inputs: string): void {
    const draft = tryParse(inputs);
    const before = isObject(draft) ? draft.get("lost") : undefined;
    const found = isObject(draft) && before !== undefined ? draft.get("inputs") : draft;
    const lost = isArray(before) ? before.map(readLost) : [];
    if (found === undefined) lost.push({ where: "", text: inputs });
    else if (this.root && found !== null) this.root.restore(found, "", lost);
    else if (found !== null) lost.push({ where: "", text: format(found, 2) });
    this.lost.value = lost;
    this.changes.value += 1;
  }

  /** Forgets the text that has no place here. */
  dropLost(): void {
    this.lost.value = [];
    this.changes.value += 1;
  }

  /** Fills the values of an answer in: as JSON text, if the fields cannot show all of them. */
  fill(valuesJson: string): boolean {
    const values = tryParse(valuesJson);
    if (values === undefined || !this.root) return false;
    if (this.root.fill(values)) return true;
    if (!(this.root instanceof CompositeNode)) return false;
    this.root.editAsJson();
    return this.root.json?.fill(values) ?? false;
  }
}

/** The value of a field as its person knows it; one that is not finished as it was typed. */
function textOf(node: Node, words: FormWords): string {
  const { value } = node.read();
  if (value === undefined) return textsIn(node.inputs() ?? null).join(", ");
  if (typeof value === "boolean") return value ? words.yes : words.no;
  return isArray(value) ? value.map(plain).join(", ") : plain(value);
}

function readLost(one: Json): Lost {
  const [where, text] = isArray(one) ? one : [];
  return { where: typeof where === "string" ? where : "", text: typeof text === "string" ? text : "" };
}

/** The problem of the innermost node for a path, which the message names as far as the node does not. */
function problemAt(node: Node, path: readonly string[], message: string): Problem {
  const below = path.slice(depthOf(node)).join("/");
  return { node, message: below ? `${below}: ${message}` : message };
}

/** What is wrong, for people: a pattern is none. The service has it as it is, or as JSON. */
function withoutPattern({ entry }: Node, message: string, words: FormWords): string {
  if (entry.type !== "field" || entry.pattern === "") return message;
  const { pattern, example } = entry;
  const isAboutIt = message.includes(pattern) || message.includes(format(pattern));
  return isAboutIt ? words.wrongForm(example) : message;
}

/** The number of names and indexes on the way to the node. */
function depthOf(node: Node): number {
  let depth = 0;
  for (let below = node; below.parent; below = below.parent) {
    const isText = below.parent instanceof CompositeNode && below.parent.json === below;
    if (!isText && below.parent.entry.type !== "variants") depth += 1;
  }
  return depth;
}

/** The path of a violation: `values_json/lines/0/count`. Undefined if it is not about the values. */
function pathOf(field: string): readonly string[] | undefined {
  const found = /^(?:answer\.)?values_json(\/.*)?$/s.exec(field);
  return found ? pointerSteps(found[1] ?? "") : undefined;
}

/** The form of a prompt. A schema that is not JSON, or that no field can show, is asked as JSON text. */
export function makeForm(content: PromptContent, given: Partial<Settings> = {}): Form {
  const settings = {
    words: EN,
    zone: localZone(),
    now: () => performance.timeOrigin + performance.now(),
    ...given,
  };
  const { questions = [] } = content.questions ?? {};
  if (questions.length) return new Form(questionsEntry(questions, settings.words), new Map(), settings);
  if (!content.schemaJson) return new Form(undefined, new Map(), settings);
  try {
    const schema = parse(content.schemaJson);
    return new Form(schemaEntry(schema, settings.words), schemaOf(schema), settings);
  } catch {
    return new Form(wholeAsJson(settings.words), new Map(), settings);
  }
}

function wholeAsJson(words: FormWords): Entry {
  const part = { key: "", title: words.theValues, help: "", rationale: "", required: true, nullable: false };
  return fieldFor({ ...part, preset: undefined, schema: new Map([["type", "object"]]) }, "json");
}
