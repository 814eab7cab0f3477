// The command palette: every command and every open prompt by its words. It never decides anything.

import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Row } from "../model/inbox";
import type { Session } from "../model/session";
import { t } from "../words/later";
import { isAdmin, isClient, writesRules } from "./roles";
import { ALL_JOBS } from "./jobs/job_query";
import { KeyHint } from "./key_hint";
import { focusSearch, open } from "./keyboard";
import type { PageKey } from "./keys";
import { selectionNow, showWaiting } from "./list_state";
import { USUAL_WINDOW } from "./overview/window";
import { dialog, usePage } from "./page";
import { ALL_PEOPLE } from "./people/people_query";
import { idOf, isOpen } from "./prompt_facts";
import { VIEWS } from "./query";
import { clearFilters, go, refine, route } from "./route";
import { settings, THEMES } from "./settings_store";
import { takeTyped } from "./typed_ahead";
import { Dialog } from "./ui";

interface Command {
  readonly id: string;
  readonly text: string;
  readonly group: string;
  /** The command whose key does this too. */
  readonly does?: PageKey["does"];
  run(): void;
}

/** How many matches are listed. */
const MOST = 12;

function press(command: string): () => void {
  return () => document.querySelector<HTMLElement>(`[data-prompt] [data-command="${command}"]`)?.click();
}

/** Show another window, after this one has closed. */
function show(window: "help" | "away" | "sign-out"): () => void {
  return () =>
    setTimeout(() => {
      dialog.value = window;
    });
}

function opening(row: Row, group: string): Command {
  const id = idOf(row.prompt);
  return { id, group, text: row.prompt.content?.title ?? "", run: () => open(id) };
}

/** `closed` are the prompts that closed while the page was open. */
function commands(session: Session, closed: readonly Row[]): readonly Command[] {
  const place = route.peek().place;
  const pages = t("palette.page");
  const found: Command[] = [
    ...VIEWS.map((view) => ({
      id: `view ${view}`,
      group: pages,
      text: t("palette.view", { name: t(`view.${view}`) }),
      run: () => {
        refine({ view });
        go({ view: "queue" });
      },
    })),
    { id: "search", group: pages, text: t("key.search"), does: "key.search", run: focusSearch },
    { id: "filters", group: pages, text: t("filters.clear"), run: clearFilters },
    { id: "new", group: pages, text: t("palette.new"), run: showWaiting },
    ...(isClient(session)
      ? [
          {
            id: "jobs",
            group: pages,
            text: t("jobs.title"),
            run: () => go({ view: "jobs", filter: ALL_JOBS }),
          },
        ]
      : []),
    {
      id: "overview",
      group: pages,
      text: t("overview.title"),
      run: () => go({ view: "overview", window: USUAL_WINDOW }),
    },
    ...(isAdmin(session)
      ? [
          {
            id: "people",
            group: pages,
            text: t("people.title"),
            run: () => go({ view: "people", filter: ALL_PEOPLE }),
          },
        ]
      : []),
    ...(writesRules(session)
      ? [
          {
            id: "rules",
            group: pages,
            text: t("rules.title"),
            run: () => go({ view: "rules", ruleId: "" }),
          },
        ]
      : []),
    { id: "settings", group: pages, text: t("settings.title"), run: () => go({ view: "settings" }) },
    { id: "away", group: pages, text: t("absence.set"), run: show("away") },
    { id: "help", group: pages, text: t("help.title"), does: "key.help", run: show("help") },
    { id: "sign-out", group: pages, text: t("sign_out"), run: show("sign-out") },
    ...THEMES.map((theme) => ({
      id: `theme ${theme}`,
      group: pages,
      text: t("palette.theme", { name: t(`theme.${theme}`) }),
      run: () => {
        settings.theme.value = theme;
      },
    })),
  ];
  if (place.view === "prompt") {
    const group = t("palette.prompt");
    for (const [command, text] of [
      ["claim", t("claim.take")],
      ["release", t("claim.release")],
      ["skip", t("answer.skip")],
      ["change", t("key.change")],
      ["review", t("amended.review")],
      ["copy", t("closed.copy")],
      ["votes", t("votes.show")],
      ["withdraw", t("votes.withdraw")],
      ["delegate", t("delegate.open")],
      ["give-back", t("delegations.back")],
      ["undo", t("delegate.undo")],
      ["always", t("always.open")],
      ["override", t("override.open")],
    ] as const) {
      if (document.querySelector(`[data-prompt] [data-command="${command}"]`) === null) continue;
      found.push({
        id: command,
        group,
        text,
        run: press(command),
        ...(command === "skip" || command === "change" ? { does: `key.${command}` } : {}),
      });
    }
  }
  for (const row of selectionNow()?.rows ?? []) if (isOpen(row)) found.push(opening(row, t("palette.open")));
  for (const row of closed) found.push(opening(row, t("view.closed")));
  return found;
}

/** The commands whose texts have all words of the text. */
function matching(all: readonly Command[], text: string): readonly Command[] {
  const words = text
    .toLocaleLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "");
  return all
    .filter((command) => words.every((word) => command.text.toLocaleLowerCase().includes(word)))
    .slice(0, MOST);
}

export function Palette() {
  const { inbox } = usePage();
  const text = useSignal("");
  const at = useSignal(0);
  const all = useRef<readonly Command[] | null>(null);
  all.current ??= commands(
    inbox.session.peek(),
    [...inbox.rows.peek().values()].filter((row) => row.closed !== undefined),
  );
  const input = useRef<HTMLInputElement>(null);
  const matches = matching(all.current, text.value);
  const close = () => {
    dialog.value = null;
  };
  const run = (command: Command | undefined) => {
    if (command === undefined) return;
    close();
    // The window must be gone before a command moves the focus.
    requestAnimationFrame(() => command.run());
  };
  // Before the next key, which would go to the button that the dialog puts the focus on.
  useLayoutEffect(() => {
    const typed = takeTyped();
    if (input.current !== null) {
      input.current.value = text.value = typed.text;
      input.current.focus();
    }
    if (typed.isEntered) run(matching(all.current ?? [], typed.text)[0]);
  }, []);
  const chosen = matches[Math.min(at.value, matches.length - 1)];
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      at.value = (at.value + step + matches.length) % Math.max(1, matches.length);
    } else if (event.key === "Enter" && !event.repeat) {
      event.preventDefault();
      run(chosen);
    }
  };
  return (
    <Dialog title={t("palette.title")} onClose={close}>
      <div class="dialog-body palette">
        <input
          ref={input}
          type="text"
          role="combobox"
          aria-expanded="true"
          aria-controls="palette-list"
          aria-activedescendant={
            chosen === undefined ? undefined : `palette-${chosen.id.replaceAll(" ", "-")}`
          }
          aria-label={t("palette.label")}
          placeholder={t("palette.label")}
          autocomplete="off"
          onInput={(event) => {
            text.value = event.currentTarget.value;
            at.value = 0;
          }}
          onKeyDown={onKeyDown}
        />
        <div id="palette-list" class="options" role="listbox" aria-label={t("palette.title")}>
          {matches.map((command) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the keys of the options are handled in the text field
            <div
              key={command.id}
              id={`palette-${command.id.replaceAll(" ", "-")}`}
              role="option"
              tabIndex={-1}
              aria-selected={command === chosen}
              onClick={() => run(command)}
            >
              <bdi>{command.text}</bdi>
              <small>{command.group}</small>
              <KeyHint does={command.does} />
            </div>
          ))}
        </div>
        {matches.length === 0 ? <p class="empty">{t("palette.none")}</p> : null}
      </div>
    </Dialog>
  );
}
