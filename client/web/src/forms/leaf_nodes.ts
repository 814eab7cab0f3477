/** The nodes of fields: a text, one choice, several choices. */

import { isWhole } from "../json/decimal";
import { format, isArray, isObject, type Json, Num } from "../json/exact";
import { equal, hasTwice, labelOf, plain, within } from "./check";
import type { Choice, Field } from "./entries";
import { Refusal } from "./formats";
import {
  type Ground,
  lose,
  type Lost,
  Node,
  type Reading,
  sendsEmptyList,
  textsIn,
  valueReading,
} from "./node";
import { JsonRefusal, readText } from "./reading";

abstract class FieldNode extends Node {
  declare entry: Field;

  constructor(ground: Ground, entry: Field, parent: Node | undefined) {
    super(ground, entry, parent);
  }

  protected abstract state(): Json;

  /** Fills the default in. What the form shows now is what it opened with. */
  protected open(): void {
    if (this.entry.preset !== undefined) this.fill(this.entry.preset);
    this.pristine = format(this.state());
  }

  override get hasDefault(): boolean {
    const { preset, secret } = this.entry;
    return preset !== undefined && preset !== null && !secret && this.inputs() === undefined;
  }

  override inputs(): Json | undefined {
    const state = this.state();
    return this.entry.secret || format(state) === this.pristine ? undefined : state;
  }
}

/** A text, a number, a day, JSON: what is typed stays as it is typed. */
export class TextNode extends FieldNode {
  text = "";
  /** Whether the browser's own control holds something that is not a whole date. */
  incomplete = false;
  /** Whether a value without this field was filled in: then an empty text is not sent. */
  private absent = false;
  /** The number that was filled in last: 1.0 is an integer, though a person may not type it so. */
  private filled: Num | undefined;

  constructor(ground: Ground, entry: Field, parent: Node | undefined) {
    super(ground, entry, parent);
    this.open();
  }

  type(text: string, incomplete = false): void {
    if (text === this.text && incomplete === this.incomplete) return;
    this.text = text;
    this.incomplete = incomplete;
    this.absent = false;
    this.touch();
  }

  override read(): Reading {
    const { words } = this.ground.settings;
    if (this.incomplete) return this.problem(words.mustBeComplete);
    if (!this.text.trim()) return this.mayBeEmptyText() ? valueReading("") : this.readEmpty();
    if (this.filled?.text === this.text && isWhole(this.text)) return valueReading(this.filled);
    try {
      return valueReading(readText(this.entry, this.text, this.ground.settings, this.ground.checker));
    } catch (error) {
      if (error instanceof Refusal) return this.problem(error.message);
      throw error;
    }
  }

  /** Where the text stops being JSON; undefined if it is JSON. */
  errorOffset(): number | undefined {
    try {
      readText(this.entry, this.text, this.ground.settings, this.ground.checker);
    } catch (error) {
      if (error instanceof JsonRefusal) return error.offset;
      if (!(error instanceof Refusal)) throw error;
    }
    return undefined;
  }

  private mayBeEmptyText(): boolean {
    const { kind, format: name, required, preset, bounds } = this.entry;
    if (kind !== "text" || name || this.absent) return false;
    return preset === "" || (required && bounds.low === "0");
  }

  override fill(value: Json): boolean {
    const text = this.textFor(value);
    if (text === undefined) return false;
    this.text = text;
    this.filled = value instanceof Num && this.entry.kind === "integer" ? value : undefined;
    this.incomplete = false;
    this.absent = false;
    this.refresh();
    return true;
  }

  override clear(): void {
    this.text = "";
    this.incomplete = false;
    this.absent = true;
    this.refresh();
  }

  private textFor(value: Json): string | undefined {
    const { kind, nullable, format: name } = this.entry;
    if (kind === "json") return format(value, 2);
    if (value === null) return nullable ? "" : undefined;
    const isNumber = kind === "integer" || kind === "number";
    if (isNumber) return value instanceof Num ? value.text : name === "decimal" ? textOnly(value) : undefined;
    return textOnly(value);
  }

  protected override state(): Json {
    return this.text;
  }

  override restore(inputs: Json, where: string, lost: Lost[]): void {
    const [text, ...more] = typeof inputs === "string" ? [inputs] : textsIn(inputs);
    if (text === undefined && typeof inputs !== "string") return;
    if (more.length && this.entry.kind !== "json") {
      lose(inputs, where, lost);
      return;
    }
    this.text = more.length ? format(inputs, 2) : (text ?? "");
    this.refresh();
  }
}

function textOnly(value: Json): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** Yes or no, or one of several choices, perhaps with a text of one's own. */
export class ChoiceNode extends FieldNode {
  chosen: Choice | "other" | undefined;
  other = "";

  constructor(ground: Ground, entry: Field, parent: Node | undefined) {
    super(ground, entry, parent);
    this.open();
  }

  get choices(): readonly Choice[] {
    if (this.entry.kind !== "boolean") return this.entry.choices;
    const { yes, no } = this.ground.settings.words;
    const choice = (value: boolean, title: string) => ({ value, title, description: "", recommended: false });
    return [choice(true, yes), choice(false, no)];
  }

  choose(chosen: Choice | "other" | undefined): void {
    this.chosen = chosen;
    this.touch();
  }

  typeOther(text: string): void {
    this.other = text;
    this.chosen = "other";
    this.touch();
  }

  isChosen(choice: Choice): boolean {
    return typeof this.chosen === "object" && equal(this.chosen.value, choice.value);
  }

  override read(): Reading {
    const { words } = this.ground.settings;
    if (this.chosen === undefined) return this.readEmpty(words.chooseOne);
    if (this.chosen !== "other") {
      if (this.choices.some((choice) => this.isChosen(choice))) return valueReading(this.chosen.value);
      return this.problem(words.notOffered(plain(this.chosen.value), this.choices.map(labelOf)));
    }
    const text = this.other.trim();
    return text ? valueReading(text) : this.problem(words.mustBeGiven);
  }

  override fill(value: Json): boolean {
    const known = this.choices.find((choice) => equal(choice.value, value));
    const other = !known && this.entry.allowOther && typeof value === "string" && value !== "";
    if (!known && !other && !(value === null && this.entry.nullable)) return false;
    this.chosen = known ?? (other ? "other" : undefined);
    if (other) this.other = value;
    this.refresh();
    return true;
  }

  override clear(): void {
    this.chosen = undefined;
    this.refresh();
  }

  protected override state(): Json {
    const found = new Map<string, Json>();
    if (typeof this.chosen === "object") found.set("chosen", this.chosen.value);
    if (this.chosen === "other") found.set("is_other", true);
    if (this.other) found.set("other", this.other);
    return found;
  }

  override restore(inputs: Json, where: string, lost: Lost[]): void {
    if (!isObject(inputs) || !["chosen", "other", "is_other"].some((key) => inputs.has(key))) {
      if (format(inputs) === "{}") this.clear();
      else if (!this.fill(inputs)) lose(inputs, where, lost);
      return;
    }
    const other = inputs.get("other");
    const chosen = inputs.get("chosen");
    if (typeof other === "string" && this.entry.allowOther) this.other = other;
    else lose(other, where, lost);
    if (inputs.get("is_other") === true && this.entry.allowOther) this.chosen = "other";
    else if (chosen === undefined) this.chosen = undefined;
    else if (!this.fill(chosen)) lose(chosen, where, lost);
    this.refresh();
  }
}

/** Any of several choices, perhaps with texts of one's own. */
export class MultiNode extends FieldNode {
  private chosen: readonly Json[] = [];
  /** Texts of one's own, one on each line. */
  other = "";

  constructor(ground: Ground, entry: Field, parent: Node | undefined) {
    super(ground, entry, parent);
    this.open();
  }

  isChosen(choice: Choice): boolean {
    return this.chosen.some((value) => equal(value, choice.value));
  }

  choose(choice: Choice, on: boolean): void {
    const rest = this.chosen.filter((value) => !equal(value, choice.value));
    this.chosen = on ? [...rest, choice.value] : rest;
    this.touch();
  }

  typeOther(text: string): void {
    this.other = text;
    this.touch();
  }

  override read(): Reading {
    const { words } = this.ground.settings;
    const { bounds, choices, required } = this.entry;
    const lines = this.other.split("\n").map((line) => line.trim());
    const values = [
      ...choices.filter((choice) => this.isChosen(choice)).map(({ value }) => value),
      ...(this.entry.allowOther ? lines.filter(Boolean) : []),
    ];
    if (!values.length && required && !this.entry.nullable && bounds.low === undefined) {
      return this.problem(words.atLeastOneChoice);
    }
    if (!values.length && !sendsEmptyList(this.entry, bounds.low)) {
      return this.readEmpty(words.mustHave(bounds, "choices"));
    }
    if (hasTwice(values)) return this.problem(words.sameTwice);
    if (!within(bounds, `${values.length}`)) return this.problem(words.mustHave(bounds, "choices"));
    return valueReading(values);
  }

  override fill(value: Json): boolean {
    if (value === null && this.entry.nullable) value = [];
    if (!isArray(value)) return false;
    const known = value.filter((item) => this.entry.choices.some((choice) => equal(choice.value, item)));
    const others = value.filter((item) => !known.includes(item));
    const lines = others.filter((item) => typeof item === "string" && item !== "" && !item.includes("\n"));
    if (lines.length < others.length || (others.length && !this.entry.allowOther)) return false;
    this.chosen = known;
    this.other = lines.map(plain).join("\n");
    this.refresh();
    return true;
  }

  override clear(): void {
    this.chosen = [];
    this.other = "";
    this.refresh();
  }

  protected override state(): Json {
    const { choices } = this.entry;
    const chosen = choices.filter((choice) => this.isChosen(choice)).map(({ value }) => value);
    return new Map<string, Json>([
      ["chosen", chosen],
      ["other", this.other],
    ]);
  }

  override restore(inputs: Json, where: string, lost: Lost[]): void {
    const chosen = isObject(inputs) ? inputs.get("chosen") : undefined;
    const other = isObject(inputs) ? inputs.get("other") : inputs;
    const values = isArray(chosen) ? chosen : chosen === undefined ? [] : [chosen];
    const known = values.filter((value) => this.entry.choices.some((choice) => equal(choice.value, value)));
    const rest = [...values.filter((value) => !known.includes(value)).map(plain), ...textsIn(other ?? null)];
    this.chosen = known;
    this.other = this.entry.allowOther ? rest.join("\n") : "";
    if (!this.entry.allowOther) lose(rest, where, lost);
    this.refresh();
  }
}
