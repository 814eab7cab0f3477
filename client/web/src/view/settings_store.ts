// The person's settings of this page, in the browser. Every write may fail; then they hold until the tab closes.

import { type Signal, effect, signal } from "@preact/signals";
import { LANGUAGES, type Language, speak } from "../words";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

interface Stored {
  readonly theme?: unknown;
  readonly language?: unknown;
  readonly singleKeys?: unknown;
  readonly quiet?: unknown;
}

const PLACE = "askback.settings";

function read(): Stored {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(PLACE) ?? "{}");
    return typeof found === "object" && found !== null ? found : {};
  } catch {
    return {};
  }
}

export interface Settings {
  readonly theme: Signal<Theme>;
  readonly language: Signal<Language>;
  /** Single letters act; off: only with Tab, Enter and the palette (WCAG 2.1.4). */
  readonly singleKeys: Signal<boolean>;
  /** No polite announcements. */
  readonly quiet: Signal<boolean>;
}

function usualLanguage(): Language {
  const own = navigator.languages.map((name) => name.toLowerCase().split("-")[0]);
  for (const name of own) {
    const found = LANGUAGES.find((one) => one === name);
    if (found !== undefined) return found;
  }
  return "en";
}

const stored = read();

export const settings: Settings = {
  theme: signal(THEMES.find((name) => name === stored.theme) ?? "system"),
  language: signal(LANGUAGES.find((name) => name === stored.language) ?? usualLanguage()),
  singleKeys: signal(stored.singleKeys !== false),
  quiet: signal(stored.quiet === true),
};

/** The colours around an installed page are those of its header, in the theme that the person chose. */
function paintWindow(theme: Theme): void {
  const [light, dark] = document.querySelectorAll<HTMLMetaElement>('meta[name="theme-color"]');
  if (light === undefined || dark === undefined) return;
  light.media = { system: "(prefers-color-scheme: light)", light: "all", dark: "not all" }[theme];
  dark.media = { system: "(prefers-color-scheme: dark)", light: "not all", dark: "all" }[theme];
}

/** Show the theme and the language, and store each change. Returns when the texts are there. */
export async function startSettings(): Promise<void> {
  const { theme, language, singleKeys, quiet } = settings;
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
    paintWindow(theme.value);
  });
  effect(() => {
    const text = JSON.stringify({
      theme: theme.value,
      language: language.value,
      singleKeys: singleKeys.value,
      quiet: quiet.value,
    });
    try {
      localStorage.setItem(PLACE, text);
    } catch {
      // Full or forbidden: the settings hold until the tab closes.
    }
  });
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
