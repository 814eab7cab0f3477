// The person's settings of this page, in the browser. Every write may fail; then they hold until the tab closes.

import { type Signal, batch, effect, signal } from "@preact/signals";
import { LANGUAGES, type Language, speak } from "../words";
import { readChoices } from "./key_map";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const PLACE = "askback.settings";
const USUAL_VOLUME = 50;

function usualLanguage(): Language {
  const own = navigator.languages.map((name) => name.toLowerCase().split("-")[0]);
  for (const name of own) {
    const found = LANGUAGES.find((one) => one === name);
    if (found !== undefined) return found;
  }
  return "en";
}

/** What the stored value of each setting means. It may be anything: an older page wrote it, or a person. */
const READ = {
  theme: (value: unknown): Theme => THEMES.find((name) => name === value) ?? "system",
  language: (value: unknown): Language => LANGUAGES.find((name) => name === value) ?? usualLanguage(),
  /** Single letters act; off: only with Tab, Enter and the palette (WCAG 2.1.4). */
  singleKeys: (value: unknown): boolean => value !== false,
  /** The keys that the person chose. */
  keys: readChoices,
  /** No polite announcements. */
  quiet: (value: unknown): boolean => value === true,
  /** Desktop notifications of new questions. */
  notify: (value: unknown): boolean => value === true,
  /** A tone for new questions. */
  sound: (value: unknown): boolean => value === true,
  /** How loud the tone is, from 1 to 100. */
  volume: (value: unknown): number =>
    typeof value === "number" && value >= 1 && value <= 100 ? value : USUAL_VOLUME,
  /** The title of the tab says which question waits. */
  titles: (value: unknown): boolean => value === true,
} as const;

type Name = keyof typeof READ;
export type Settings = { readonly [Each in Name]: Signal<ReturnType<(typeof READ)[Each]>> };

function read(): ReadonlyMap<string, unknown> {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(PLACE) ?? "{}");
    return new Map(Object.entries(typeof found === "object" && found !== null ? found : {}));
  } catch {
    return new Map();
  }
}

const stored = read();

export const settings = Object.fromEntries(
  Object.entries(READ).map(([name, meaning]) => [name, signal<unknown>(meaning(stored.get(name)))]),
) as unknown as Settings;

/** Another tab has stored its settings: they are those of the browser. */
function takeOver(event: StorageEvent): void {
  if (event.key !== PLACE) return;
  const now = read();
  batch(() => {
    for (const [name, meaning] of Object.entries(READ)) {
      (settings[name as Name] as Signal<unknown>).value = meaning(now.get(name));
    }
  });
}

/** The colours around an installed page are those of its header, in the theme that the person chose. */
function paintWindow(theme: Theme): void {
  const [light, dark] = document.querySelectorAll<HTMLMetaElement>('meta[name="theme-color"]');
  if (light === undefined || dark === undefined) return;
  light.media = { system: "(prefers-color-scheme: light)", light: "all", dark: "not all" }[theme];
  dark.media = { system: "(prefers-color-scheme: dark)", light: "not all", dark: "all" }[theme];
}

/** Show the theme and the language, and store each change. Returns when the texts are there. */
export async function startSettings(): Promise<void> {
  const { theme, language } = settings;
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
    paintWindow(theme.value);
  });
  effect(() => {
    const text = JSON.stringify(
      Object.fromEntries(Object.entries(settings).map(([name, each]) => [name, each.value])),
    );
    try {
      localStorage.setItem(PLACE, text);
    } catch {
      // Full or forbidden: the settings hold until the tab closes.
    }
  });
  addEventListener("storage", takeOver);
  let first: Promise<void> = Promise.resolve();
  effect(() => {
    const wanted = language.value;
    first = speak(wanted).then(
      () => {
        document.documentElement.lang = wanted;
      },
      () => undefined,
    );
  });
  await first;
}
