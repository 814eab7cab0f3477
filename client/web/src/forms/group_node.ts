/** The node of an object, or of a list of fixed length. */

import { format, isArray, isObject, type Json, type JsonObject } from "../json/exact";
import { CompositeNode } from "./composite_node";
import type { Entry, Group } from "./entries";
import { type Ground, lose, type Lost, type Node, type Reading, valueReading } from "./node";

/** How many conditions may follow each other, each on a field that the one before shows. */
const MAX_CHAIN = 100;

export class GroupNode extends CompositeNode {
  declare entry: Group;
  /** False: an object that may be left out is left out. */
  open: boolean;
  /** Values without a field: shown as JSON and sent. */
  further: JsonObject = new Map();
  private readonly nodes = new Map<string, Node>();
  /** Of a draft: the inputs of fields that a condition may show later. */
  private readonly waiting = new Map<string, Json>();
  private shown: readonly Entry[] = [];

  constructor(ground: Ground, entry: Group, parent: Node | undefined) {
    super(ground, entry, parent);
    this.open = !this.isOptional;
    this.choose();
    if (entry.preset !== undefined && this.open) this.fill(entry.preset);
  }

  get isOptional(): boolean {
    return this.parent !== undefined && (!this.entry.required || this.entry.nullable);
  }

  setOpen(open: boolean): void {
    const { preset } = this.entry;
    if (open && isObject(preset) && this.children().every((child) => child.inputs() === undefined))
      this.fill(preset);
    this.open = open;
    this.touch();
  }

  override children(): readonly Node[] {
    return this.shown.map((entry) => this.nodeFor(entry));
  }

  /** Fields of other conditions keep their nodes, and what was typed into them. */
  private nodeFor(entry: Entry): Node {
    const name = nameOf(entry);
    const known = this.nodes.get(name);
    if (known?.entry === entry) return known;
    if (known && (entry.type === "field" || format(known.entry.schema) === format(entry.schema))) {
      known.entry = entry;
      return known;
    }
    const made = this.ground.make(entry, this);
    const inputs = known?.inputs() ?? this.waiting.get(name);
    this.waiting.delete(name);
    if (inputs !== undefined) made.restore(inputs, entry.title, []);
    this.nodes.set(name, made);
    return made;
  }

  /** Finds the fields that the values show. Returns whether they changed. */
  private choose(): boolean {
    const before = this.shown;
    for (let round = 0; round < MAX_CHAIN; round += 1) {
      const found = this.entry.fieldsFor(this.entry.conditional ? this.values() : new Map());
      if (found === this.shown) break;
      this.shown = found;
    }
    return this.shown !== before;
  }

  private values(): JsonObject {
    return new Map(
      this.children().flatMap((child) => {
        const { value } = child.read();
        return value === undefined ? [] : [[child.entry.key, value] as const];
      }),
    );
  }

  protected override childChanged(): void {
    super.childChanged();
    if (this.entry.conditional && this.choose()) this.refresh();
  }

  protected override readParts(): Reading {
    if (!this.open) return this.readEmpty();
    const readings = this.children().map((child) => [child.entry.key, child.read()] as const);
    const problems = readings.flatMap(([, reading]) => reading.problems);
    if (problems.length) return { value: undefined, problems };
    if (this.entry.sequence) return valueReading(readings.map(([, { value }]) => value ?? null));
    const values = readings.flatMap(([key, { value }]) =>
      value === undefined ? [] : [[key, value] as const],
    );
    return valueReading(new Map([...this.entry.fixed, ...values, ...this.further]));
  }

  override fill(value: Json): boolean {
    if (value === null && this.entry.nullable) {
      this.open = false;
      this.refresh();
      return true;
    }
    const values = isArray(value) ? new Map(value.map((item, n) => [`${n}`, item] as const)) : value;
    if (!isObject(values) || isArray(value) !== this.entry.sequence) return false;
    this.open = true;
    const fixed = new Set(this.entry.fixed.map(([name]) => name));
    const left = new Map([...values].filter(([name]) => !fixed.has(name)));
    // Filling a field in may show other fields, or the same field with other choices or of another type.
    const filled = new Map<Entry, boolean>();
    for (let round = 0; round < MAX_CHAIN; round += 1) {
      const fitting = this.children().filter(({ entry }) => left.has(entry.key) && !filled.has(entry));
      if (!fitting.length) break;
      for (const child of fitting) filled.set(child.entry, child.fill(left.get(child.entry.key) ?? null));
      this.choose();
    }
    if (this.children().some(({ entry }) => filled.get(entry) === false)) return false;
    for (const { entry } of this.children()) left.delete(entry.key);
    for (const child of this.children()) if (!values.has(child.entry.key)) child.clear();
    this.further = left;
    this.refresh();
    return !this.entry.sequence || !left.size;
  }

  override clear(): void {
    this.open = !this.isOptional;
    this.further = new Map();
    for (const child of this.children()) child.clear();
    this.refresh();
  }

  dropFurther(): void {
    this.further = new Map();
    this.touch();
  }

  protected override partsInputs(): Json | undefined {
    const found = new Map<string, Json>();
    if (this.open === this.isOptional) found.set("open", this.open);
    const fields = new Map(this.waiting);
    for (const [name, node] of this.nodes) {
      const inputs = node.inputs();
      if (inputs !== undefined) fields.set(name, inputs);
    }
    // In one order, however the fields came about: the same input is the same draft.
    const sorted = [...fields].sort(([one], [other]) => (one < other ? -1 : 1));
    if (sorted.length) found.set("fields", new Map(sorted));
    if (this.further.size) found.set("further", this.further);
    return found.size ? found : undefined;
  }

  protected override restoreParts(inputs: Json, where: string, lost: Lost[]): void {
    if (!isObject(inputs)) {
      lose(inputs, where, lost);
      return;
    }
    const open = inputs.get("open");
    if (typeof open === "boolean" && this.isOptional) this.setOpen(open);
    const fields = inputs.get("fields");
    const left = new Map(isObject(fields) ? fields : []);
    // A field of the same kind comes first: another condition may show a field of the same name.
    this.restoreFields(left, ({ entry }) => (left.has(nameOf(entry)) ? nameOf(entry) : undefined), lost);
    const untouched = this.children().filter((child) => child.inputs() === undefined);
    const byKey = ({ entry }: Node) => [...left.keys()].find((name) => keyIn(name) === entry.key);
    this.restoreFields(left, (child) => (untouched.includes(child) ? byKey(child) : undefined), lost);
    const schema = format(this.ground.schema);
    for (const [name, state] of left) {
      const hidden = this.nodes.get(name);
      const mayShow = this.entry.conditional && schema.includes(`${JSON.stringify(keyIn(name))}:`);
      if (hidden) hidden.restore(state, hidden.entry.title, lost);
      else if (mayShow) this.waiting.set(name, state);
      else lose(state, [where, keyIn(name)].filter(Boolean).join(": "), lost);
    }
    const further = inputs.get("further");
    if (isObject(further)) this.further = further;
    this.refresh();
  }

  /** Restores one field after the other, because each may show others. `find` says which input a field takes. */
  private restoreFields(
    left: Map<string, Json>,
    find: (child: Node) => string | undefined,
    lost: Lost[],
  ): void {
    for (let more = true; more; this.choose()) {
      more = false;
      for (const child of this.children()) {
        const name = find(child);
        if (name === undefined) continue;
        child.restore(left.get(name) ?? null, child.entry.title, lost);
        left.delete(name);
        more = true;
        break;
      }
    }
  }

  protected override nodeAt([key = "", ...rest]: readonly string[]): Node {
    const child = this.open ? this.children().find(({ entry }) => entry.key === key) : undefined;
    return child ? child.at(rest) : this;
  }
}

function nameOf(entry: Entry): string {
  return `${entry.type === "field" ? entry.kind : entry.type} ${entry.key}`;
}

function keyIn(name: string): string {
  return name.slice(name.indexOf(" ") + 1);
}
