/** What a person typed: a tree of nodes, one for each entry that is or was shown. */

import { signal } from "@preact/signals-core";
import { isArray, isObject, type Json, Num } from "../json/exact";
import type { Checker } from "./check";
import type { Entry } from "./entries";
import type { Settings } from "./formats";
import type { Schema } from "./schema_shapes";

export interface Problem {
  readonly node: Node;
  readonly message: string;
}

/** The value of a node; undefined if it is left out. With a problem there is no value. */
export interface Reading {
  readonly value: Json | undefined;
  readonly problems: readonly Problem[];
}

/** Text of an older draft that has no place in the form. */
export interface Lost {
  readonly where: string;
  readonly text: string;
}

/** What all nodes of a form share. */
export interface Ground {
  readonly settings: Settings;
  readonly schema: Schema;
  readonly checker: Checker;
  nextId(): string;
  make(entry: Entry, parent: Node | undefined): Node;
  changed(): void;
}

export abstract class Node {
  /** The id of its element on the page, and the start of the ids of the texts beside it. */
  readonly id: string;
  /** Rises when the node must be rendered again. */
  readonly tick = signal(0);
  /** What the service refused, until the person changes it. */
  readonly refusals = signal<readonly string[]>([]);
  /** Whether the person has been here: before, nothing is called wrong. */
  readonly visited = signal(false);
  /** Rises when something else than typing changed the node: its controls are made again. */
  epoch = 0;
  /** Set by a node without fields: the state in which the form opened. */
  protected pristine = "";

  constructor(
    readonly ground: Ground,
    public entry: Entry,
    readonly parent: Node | undefined,
  ) {
    this.id = ground.nextId();
  }

  abstract read(): Reading;

  /** Fills a value in. Returns false if the node cannot show it. */
  abstract fill(value: Json): boolean;

  /** Empties it: a value that is filled in has nothing here. */
  abstract clear(): void;

  /** What was typed, for a draft; undefined if nothing was changed since the form opened. */
  abstract inputs(): Json | undefined;

  abstract restore(inputs: Json, where: string, lost: Lost[]): void;

  /** Whether it has the default of its asker, which the person has not changed. */
  get hasDefault(): boolean {
    return false;
  }

  /** The nodes that are shown below this one, in order. */
  children(): readonly Node[] {
    return [];
  }

  /** The innermost node for the path below this one. */
  at(_path: readonly string[]): Node {
    return this;
  }

  /** The person changed something here. */
  touch(): void {
    this.refusals.value = [];
    this.tick.value += 1;
    for (let node = this.parent; node; node = node.parent) node.childChanged();
    this.ground.changed();
  }

  /** Renders again after a change that the person did not make. */
  refresh(): void {
    this.epoch += 1;
    this.tick.value += 1;
  }

  protected childChanged(): void {
    if (this.refusals.peek().length) this.refusals.value = [];
  }

  problem(message: string): Reading {
    return { value: undefined, problems: [{ node: this, message }] };
  }

  /** The reading of an empty node: a problem if it is required; null if null says that it was emptied. */
  protected readEmpty(message = this.ground.settings.words.mustBeGiven): Reading {
    const { required, nullable, preset } = this.entry;
    if (required && !nullable) return this.problem(message);
    // Without the null, a program would put the default in the place of what was emptied.
    const emptied = nullable && (required || (preset !== undefined && preset !== null));
    return { value: emptied ? null : undefined, problems: [] };
  }
}

export function valueReading(value: Json): Reading {
  return { value, problems: [] };
}

/** The texts in a part of a draft, for a person to copy. */
export function textsIn(inputs: Json): readonly string[] {
  if (typeof inputs === "string") return inputs.trim() ? [inputs] : [];
  if (inputs instanceof Num) return [inputs.text];
  if (isArray(inputs)) return inputs.flatMap(textsIn);
  return isObject(inputs) ? [...inputs.values()].flatMap(textsIn) : [];
}

/** Adds the texts of inputs that have no place in the form to `lost`. */
export function lose(inputs: Json | undefined, where: string, lost: Lost[]): void {
  const text = inputs === undefined ? "" : textsIn(inputs).join("\n");
  if (text) lost.push({ where, text });
}

/** Whether a list of `entry` that was emptied is sent as an empty list rather than left out. */
export function sendsEmptyList(entry: Entry, low: string | undefined): boolean {
  const hasPreset = isArray(entry.preset) || isObject(entry.preset);
  return (entry.required || hasPreset) && (low === undefined || low === "0");
}
