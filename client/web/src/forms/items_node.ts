/** The node of a list, or of values by name. */

import { format, isArray, isObject, type Json } from "../json/exact";
import { hasTwice, labelOf, within } from "./check";
import { CompositeNode } from "./composite_node";
import type { Items } from "./entries";
import { type Ground, lose, type Lost, type Node, type Reading, sendsEmptyList, valueReading } from "./node";

export interface Item {
  /** Of keyed items. */
  name: string;
  /** The name that came with a value: it may have spaces around it, or be empty. */
  readonly filled?: string;
  readonly node: Node;
}

/** The largest number of empty items that a form opens with. */
const MAX_OPENED = 20;

export class ItemsNode extends CompositeNode {
  declare entry: Items;
  items: readonly Item[] = [];
  /** The item that was removed last, and where it was. */
  removed: { readonly item: Item; readonly at: number } | undefined;

  constructor(ground: Ground, entry: Items, parent: Node | undefined) {
    super(ground, entry, parent);
    const { low } = entry.bounds;
    while (entry.required && low && this.items.length < MAX_OPENED && `${this.items.length}` !== low)
      this.append();
    if (entry.preset !== undefined) this.fill(entry.preset);
    this.pristine = format(this.state());
  }

  private append(name = "", filled?: string): Item {
    const item: Item = {
      name,
      ...(filled === undefined ? {} : { filled }),
      node: this.ground.make(this.entry.item, this),
    };
    this.items = [...this.items, item];
    return item;
  }

  add(): Item {
    const item = this.append();
    this.touch();
    return item;
  }

  /** Text of several lines, pasted into an item: each line becomes an item of its own. */
  paste(at: number, text: string): void {
    const lines = text.split(/\r?\n/).filter((line) => line.trim());
    const made = lines.map((line) => {
      const node = this.ground.make(this.entry.item, this);
      node.restore(line, "", []);
      return { name: "", node };
    });
    this.items = this.items.toSpliced(at, 1, ...made);
    this.touch();
  }

  remove(at: number): void {
    const item = this.items[at];
    if (!item) return;
    this.removed = { item, at };
    this.items = this.items.filter((one) => one !== item);
    this.touch();
  }

  putBack(): void {
    if (!this.removed) return;
    this.items = this.items.toSpliced(this.removed.at, 0, this.removed.item);
    this.removed = undefined;
    this.touch();
  }

  /** Moves an item by one place. */
  move(at: number, by: 1 | -1): void {
    const [one, other] = [this.items[at], this.items[at + by]];
    if (!one || !other) return;
    this.items = this.items.with(at, other).with(at + by, one);
    this.touch();
  }

  rename(item: Item, name: string): void {
    item.name = name;
    this.touch();
  }

  override children(): readonly Node[] {
    return this.items.map(({ node }) => node);
  }

  /** The name that is sent: names to choose from may be typed by their titles. */
  nameOf({ name, filled }: Item): string | undefined {
    if (name === filled) return name;
    const typed = name.trim();
    const { names } = this.entry;
    if (!names.length) return typed;
    const value = names.find((choice) => choice.value === typed || choice.title === typed)?.value;
    return typeof value === "string" ? value : undefined;
  }

  /** What is wrong with the name of an item; empty if nothing is. */
  nameProblem(item: Item): string {
    const { words } = this.ground.settings;
    const name = this.nameOf(item);
    if (name === "" && name !== item.filled) return words.nameMissing;
    if (name === undefined) {
      return words.notOffered(item.name.trim(), this.entry.names.map(labelOf));
    }
    const first = this.items.find((other) => this.nameOf(other) === name);
    return first === item ? "" : words.nameTwice(name);
  }

  protected override readParts(): Reading {
    const { words } = this.ground.settings;
    const { bounds, keyed, unique } = this.entry;
    if (!this.items.length && !sendsEmptyList(this.entry, bounds.low)) {
      return bounds.low && this.entry.required
        ? this.problem(words.mustHave(bounds, "values"))
        : this.readEmpty();
    }
    const problems = this.items.flatMap((item) => {
      const message = keyed ? this.nameProblem(item) : "";
      return [...(message ? this.problem(message).problems : []), ...item.node.read().problems];
    });
    if (problems.length) return { value: undefined, problems };
    const values = this.items.map(({ node }) => node.read().value ?? null);
    if (!within(bounds, `${values.length}`)) return this.problem(words.mustHave(bounds, "values"));
    if (unique && hasTwice(values)) return this.problem(words.sameTwice);
    if (!keyed) return valueReading(values);
    return valueReading(
      new Map(this.items.map((item, n) => [this.nameOf(item) ?? "", values[n] ?? null] as const)),
    );
  }

  override fill(value: Json): boolean {
    if (value === null && this.entry.nullable) value = this.entry.keyed ? new Map() : [];
    const named = isArray(value)
      ? value.map((item) => ["", item] as const)
      : isObject(value)
        ? [...value]
        : undefined;
    if (!named || isArray(value) === this.entry.keyed) return false;
    const before = this.items;
    this.items = [];
    const filled = named.every(([name, item]) => this.append(name, name).node.fill(item));
    if (!filled) this.items = before;
    this.refresh();
    return filled;
  }

  override clear(): void {
    this.items = [];
    this.refresh();
  }

  private state(): Json {
    return this.items.map(({ name, node }) => [name, node.inputs() ?? null]);
  }

  protected override partsInputs(): Json | undefined {
    const state = this.state();
    return format(state) === this.pristine ? undefined : new Map([["items", state]]);
  }

  protected override restoreParts(inputs: Json, where: string, lost: Lost[]): void {
    const items = isObject(inputs) ? inputs.get("items") : undefined;
    if (!isArray(items)) {
      lose(inputs, where, lost);
      return;
    }
    this.items = [];
    items.forEach((one, n) => {
      const [name, state = null] = isArray(one) ? one : [];
      const item = this.append(typeof name === "string" ? name : "");
      if (state !== null) item.node.restore(state, `${where} ${n + 1}`, lost);
    });
    this.refresh();
  }

  protected override nodeAt([key = "", ...rest]: readonly string[]): Node {
    const found = this.items.find((item, n) =>
      this.entry.keyed ? this.nameOf(item) === key : `${n}` === key,
    );
    return found ? found.node.at(rest) : this;
  }
}
