/** The node of a union. */

import { format, isObject, type Json } from "../json/exact";
import { CompositeNode } from "./composite_node";
import type { Variants } from "./entries";
import { GroupNode } from "./group_node";
import { type Ground, lose, type Lost, type Node, type Reading } from "./node";

export class VariantsNode extends CompositeNode {
  declare entry: Variants;
  /** The title of the variant that is chosen. */
  chosen: string | undefined;
  private readonly nodes = new Map<string, Node>();

  constructor(ground: Ground, entry: Variants, parent: Node | undefined) {
    super(ground, entry, parent);
    if (entry.preset !== undefined) this.fill(entry.preset);
    this.pristine = this.chosen ?? "";
  }

  get node(): Node | undefined {
    return this.chosen === undefined ? undefined : this.nodeFor(this.chosen);
  }

  private nodeFor(title: string): Node | undefined {
    const known = this.nodes.get(title);
    const entry = this.entry.variants.find((variant) => variant.title === title);
    if (known || !entry) return known;
    const made = this.ground.make({ ...entry, required: true }, this);
    this.nodes.set(title, made);
    return made;
  }

  /** Each variant keeps what was typed into it. A new one starts with the values of the fields they share. */
  choose(title: string | undefined): void {
    const from = this.node;
    const isNew = title !== undefined && !this.nodes.has(title);
    this.chosen = title;
    if (isNew && from && this.node) shareFields(from, this.node);
    this.touch();
  }

  override children(): readonly Node[] {
    return this.node ? [this.node] : [];
  }

  protected override readParts(): Reading {
    return this.node ? this.node.read() : this.readEmpty(this.ground.settings.words.chooseOne);
  }

  override fill(value: Json): boolean {
    if (value === null && this.entry.nullable) {
      this.chosen = undefined;
      this.refresh();
      return true;
    }
    const fitting = this.entry.variants.filter(({ schema }) => this.ground.checker.holds(schema, value));
    const found = fitting.find(({ title }) => this.nodeFor(title)?.fill(value));
    if (found) this.chosen = found.title;
    this.refresh();
    return found !== undefined;
  }

  override clear(): void {
    this.chosen = undefined;
    this.refresh();
  }

  protected override partsInputs(): Json | undefined {
    const found = new Map<string, Json>();
    if ((this.chosen ?? "") !== this.pristine) found.set("chosen", this.chosen ?? "");
    const branches = [...this.nodes].flatMap(([title, node]) => {
      const inputs = node.inputs();
      return inputs === undefined ? [] : [[title, inputs] as const];
    });
    if (branches.length) found.set("variants", new Map(branches));
    return found.size ? found : undefined;
  }

  protected override restoreParts(inputs: Json, where: string, lost: Lost[]): void {
    const branches = isObject(inputs) ? inputs.get("variants") : undefined;
    const chosen = isObject(inputs) ? inputs.get("chosen") : undefined;
    if (!isObject(inputs) || (branches === undefined && chosen === undefined)) {
      lose(inputs, where, lost);
      return;
    }
    for (const [title, state] of isObject(branches) ? branches : []) {
      const node = this.nodeFor(title);
      if (node) node.restore(state, title, lost);
      else lose(state, `${where}: ${title}`, lost);
    }
    if (typeof chosen === "string") this.chosen = this.nodeFor(chosen) ? chosen : undefined;
    this.refresh();
  }

  protected override nodeAt(path: readonly string[]): Node {
    return this.node?.at(path) ?? this;
  }
}

/** Copies what was typed into fields that both objects have. */
function shareFields(from: Node, to: Node): void {
  if (!(from instanceof GroupNode) || !(to instanceof GroupNode)) return;
  for (const child of to.children()) {
    const { key, schema } = child.entry;
    const same = from
      .children()
      .find(({ entry }) => entry.key === key && format(entry.schema) === format(schema));
    const inputs = same?.inputs();
    if (inputs !== undefined) child.restore(inputs, "", []);
  }
}
