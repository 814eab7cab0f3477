/** The words of forms, one object for each language: a language that lacks a key does not compile. */

import type { JsonFault } from "../json/exact";
import type { Bounds } from "./entries";

/** What a bound counts; empty for the value itself. */
export type Unit = "" | "characters" | "choices" | "values";

export interface FormWords {
  /** Whether a comma may stand before the fraction of a number. */
  readonly decimalComma: boolean;
  readonly yes: string;
  readonly no: string;
  readonly none: string;
  readonly empty: string;
  readonly noAnswer: string;
  readonly required: string;
  readonly recommended: string;
  readonly byDefault: string;
  readonly asBefore: string;
  readonly other: string;
  readonly otherLines: string;
  readonly why: string;
  readonly theValues: string;
  readonly fillIn: string;
  readonly ifLeftOut: string;
  readonly add: string;
  readonly remove: string;
  readonly moveUp: string;
  readonly moveDown: string;
  readonly putBack: string;
  readonly name: string;
  readonly value: string;
  readonly zone: string;
  yourTime(zone: string): string;
  readonly willBeSent: string;
  readonly formatJson: string;
  readonly goToError: string;
  readonly asJson: string;
  readonly asForm: string;
  readonly valid: string;
  readonly hidden: string;
  readonly further: string;
  readonly leftOver: string;
  readonly leftOverHelp: string;
  readonly discard: string;
  readonly wrongElsewhere: string;
  filter(count: number): string;
  filterShows(shown: number, count: number): string;
  place(number: number, count: number): string;
  variant(number: number): string;
  readonly kinds: Readonly<Record<string, string>>;
  readonly hints: Readonly<Record<string, string>>;
  bounds(bounds: Bounds, unit?: Unit): string;
  multiple(step: string): string;
  suchAs(example: string): string;
  readonly certainForm: string;
  readonly pattern: string;
  wrongForm(example: string): string;
  readonly mustBeGiven: string;
  readonly mustBeComplete: string;
  mustBeNumber(bounds: Bounds): string;
  mustBeWhole(bounds: Bounds): string;
  mustBeDate(bounds: Bounds): string;
  mustBe(bounds: Bounds): string;
  mustHave(bounds: Bounds, unit: Unit): string;
  mustBeMultiple(step: string): string;
  mustNotGroup(plain: string): string;
  readonly tooLarge: string;
  readonly badCharacters: string;
  notInCalendar(text: string, bounds: Bounds): string;
  readonly mustBeMoment: string;
  momentNotInCalendar(text: string): string;
  unknownZone(zone: string): string;
  unknownOffset(zone: string): string;
  readonly timeSkipped: string;
  timeTwice(one: string, other: string): string;
  readonly clockMustBe: string;
  notOnClock(text: string): string;
  readonly durationMustBe: string;
  readonly wholeSeconds: string;
  readonly tooLong: string;
  mustBeFormat(hint: string): string;
  notOffered(text: string, labels: readonly string[]): string;
  readonly atLeastOneChoice: string;
  readonly chooseOne: string;
  readonly sameTwice: string;
  nameTwice(name: string): string;
  readonly nameMissing: string;
  notJson(fault: Exclude<JsonFault, "name_twice">, line: number, column: number): string;
  nameTwiceAt(name: string, line: number, column: number): string;
  mustBeType(types: readonly string[]): string;
  readonly mustBeJsonText: string;
  mustBeConstant(text: string): string;
  readonly notAllowed: string;
  readonly unknownField: string;
  readonly isRequired: string;
  readonly fitsNoVariant: string;
  readonly fitsSeveralVariants: string;
}

/** The labels in one text, shortened after the twelfth. */
export function shortList(labels: readonly string[], more: (count: number) => string): string {
  const shown = labels.slice(0, 12);
  if (labels.length > 12) shown.push(more(labels.length - 12));
  return shown.join(", ");
}
