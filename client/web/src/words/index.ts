// The page's texts: one catalogue for each language, with the same keys. Other modules hold no text of their own.

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { FormWords } from "../forms/words";
import { en } from "./en";
import type { enLater } from "./later";

/** A text with `{name}` places; or the forms of a text that depends on `{n}`. */
export type Entry = string | { readonly one: string; readonly other: string };
export type Key = keyof typeof en;
/** A key of a text that may load later: only `later.ts` gives it. */
export type LaterKey = Key | keyof typeof enLater;
export type Catalogue = Readonly<Record<LaterKey, Entry>>;
export type Language = "en" | "de";
export type Params = Readonly<Record<string, string | number>>;

export const LANGUAGES: readonly Language[] = ["en", "de"];

interface LanguageFile {
  readonly catalogue: Catalogue;
  /** The labels that the service gives to decisions without one, by their English text. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Undefined: they load later, with the English texts of forms. */
  readonly formWords?: FormWords;
}

const loaders: Record<Exclude<Language, "en">, () => Promise<LanguageFile>> = {
  de: () => import("./de"),
};

interface Speech extends LanguageFile {
  readonly language: Language;
  /** The browser's locale, where it speaks this language. */
  readonly locale: string;
  readonly plural: Intl.PluralRules;
  /** Made once: rows by the thousand have numbers, and making a format takes longer than using it. */
  readonly number: Intl.NumberFormat;
}

function localeOf(language: Language): string {
  const own = typeof navigator === "undefined" ? [] : navigator.languages;
  return own.find((name) => name.toLowerCase().split("-")[0] === language) ?? language;
}

function speechOf(language: Language, file: LanguageFile): Speech {
  const locale = localeOf(language);
  const plural = new Intl.PluralRules(language);
  return { ...file, language, locale, plural, number: new Intl.NumberFormat(locale) };
}

/** Those of the first paint, and after `learn` all of them. */
const englishTexts: Partial<Record<LaterKey, Entry>> = { ...en };
const english = speechOf("en", { catalogue: englishTexts as Catalogue });
let englishForms: FormWords | undefined;
const speech = signal<Speech>(english);

/** The language of the texts on the screen. */
export function language(): Language {
  return speech.value.language;
}

/** The label of a decision: one that the service gave, in the language of the page; the asker's own as it is. */
export function labelWords(label: string): string {
  const { labels = {} } = speech.value;
  return Object.hasOwn(labels, label) ? (labels[label] ?? label) : label;
}

/** The words of forms in the language of the page. */
export function formWords(): FormWords {
  const found = speech.value.formWords ?? englishForms;
  if (found === undefined) throw new Error("the words of forms are not loaded");
  return found;
}

/** The locale for dates and numbers: the browser's, where it speaks the page's language. */
export function locale(): string {
  return speech.value.locale;
}

/** Add the English texts that load later, and the words of forms. */
export function learn(texts: Partial<Record<LaterKey, Entry>>, forms: FormWords): void {
  Object.assign(englishTexts, texts);
  englishForms = forms;
}

/** Load a language and show it. Where its file cannot be loaded, the texts stay as they are. */
export async function speak(wanted: Language): Promise<void> {
  const file = wanted === "en" ? english : await loaders[wanted]();
  speech.value = speechOf(wanted, file);
}

function template(key: LaterKey, n: string | number | undefined): string {
  const { catalogue, plural } = speech.value;
  const entry: Entry = catalogue[key];
  if (typeof entry === "string") return entry;
  return typeof n === "number" && plural.select(n) === "one" ? entry.one : entry.other;
}

const PLACE = /\{(\w+)\}/g;

/** The text of a key with its places filled in. */
export function t(key: Key, params: Params = {}): string {
  return template(key, params.n).replace(PLACE, (place, name: string) => {
    const value = params[name];
    if (value === undefined) return place;
    return typeof value === "number" ? speech.value.number.format(value) : value;
  });
}

/** The text of a key, with elements in its places: a name in a `<bdi>`, a time in a `<time>`. */
export function rich(key: Key, parts: Readonly<Record<string, ComponentChildren>>): ComponentChildren[] {
  const n = parts.n;
  const pieces = template(key, typeof n === "number" ? n : undefined).split(PLACE);
  return pieces.map((piece, index) => (index % 2 === 1 ? (parts[piece] ?? `{${piece}}`) : piece));
}

/** Whether a text is a key of the catalogue: for keys that are made of a name, such as an error's reason. */
export function isKey(text: string): text is Key {
  return Object.hasOwn(englishTexts, text);
}
