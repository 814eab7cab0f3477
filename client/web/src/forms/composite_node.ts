/** An object, a list or a union: its parts are nodes, or it is edited as JSON text. */

import { isObject, type Json } from "../json/exact";
import { fieldFor } from "./entries";
import { TextNode } from "./leaf_nodes";
import { type Lost, Node, type Reading } from "./node";

export abstract class CompositeNode extends Node {
  /** The value as JSON text, while it is edited so. */
  json: TextNode | undefined;

  protected abstract readParts(): Reading;
  protected abstract partsInputs(): Json | undefined;
  protected abstract restoreParts(inputs: Json, where: string, lost: Lost[]): void;
  protected abstract nodeAt(path: readonly string[]): Node;

  override read(): Reading {
    if (!this.json) return this.readParts();
    return this.json.text.trim() ? this.json.read() : this.readEmpty();
  }

  /** Shows the value as JSON text. What the fields hold stays behind it. */
  editAsJson(): void {
    const { value } = this.readParts();
    this.json = new TextNode(this.ground, fieldFor({ ...this.entry, preset: undefined }, "json"), this);
    if (value !== undefined) this.json.fill(value);
    this.touch();
  }

  /** Shows the fields again, with the value of the JSON text. Returns false if they cannot show it. */
  editAsForm(): boolean {
    const { value, problems } = this.read();
    if (problems.length || (value !== undefined && !this.fill(value))) return false;
    this.json = undefined;
    this.touch();
    return true;
  }

  override inputs(): Json | undefined {
    const parts = this.partsInputs();
    if (!this.json) return parts;
    return new Map<string, Json>([
      ["json", this.json.text],
      ...(parts === undefined ? [] : [["parts", parts] as const]),
    ]);
  }

  override restore(inputs: Json, where: string, lost: Lost[]): void {
    const json = isObject(inputs) ? inputs.get("json") : undefined;
    if (typeof json !== "string") {
      this.restoreParts(inputs, where, lost);
      return;
    }
    const parts = isObject(inputs) ? inputs.get("parts") : undefined;
    if (parts !== undefined) this.restoreParts(parts, where, lost);
    this.editAsJson();
    if (this.json) this.json.text = json;
  }

  override at(path: readonly string[]): Node {
    return this.json ?? (path.length ? this.nodeAt(path) : this);
  }
}
