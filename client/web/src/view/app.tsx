// The page from its first paint on: who is signed in, then the inbox of that person.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { openHints } from "../model/hints";
import { fetchSession, type Session } from "../model/session";
import { fetchHere, type Started } from "../model/start";
import { t } from "../words";
import { startFocusGuard } from "./focus_guard";
import { LiveRegions } from "./live_regions";
import type { Page } from "./page";
import { startRouter } from "./route";
import { startScreenKeyboard } from "./screen_keyboard";
import { Shell } from "./shell";
import { SignInView } from "./sign_in";
import { startClocks } from "./times";
import { Works } from "./works";

/** Opens the inbox and the drafts of the person who is signed in. */
export type Open = (session: Session) => Promise<Started>;

type State =
  | { readonly kind: "asking" }
  | { readonly kind: "down" }
  | { readonly kind: "signed_out"; readonly session: Session }
  | { readonly kind: "open"; readonly page: Page; readonly close: () => void };

const state = signal<State>({ kind: "asking" });

async function openPage(session: Session, open: Open): Promise<void> {
  const before = state.peek();
  if (before.kind === "open") before.close();
  const { inbox, drafts, close } = await open(session);
  // The same person's text stays on the screen; another person starts with an empty page.
  const isSame = before.kind === "open" && before.page.session.subject === session.subject;
  const works = isSame ? before.page.works : new Works(drafts);
  works.drafts = drafts;
  state.value = { kind: "open", page: { inbox, drafts, session, works }, close };
}

async function ask(open: Open): Promise<void> {
  try {
    const session = await fetchSession(fetchHere);
    if (session.signedIn) await openPage(session, open);
    else state.value = { kind: "signed_out", session };
  } catch {
    state.value = { kind: "down" };
  }
}

/** Call `changed` when another tab signed in, and when the window is looked at again. Nothing depends on a hint. */
function watchSession(changed: () => void): () => void {
  const hints = openHints();
  const stop = hints.listen((hint) => {
    if (hint.kind === "signed_in") changed();
  });
  addEventListener("focus", changed);
  return () => {
    stop();
    hints.close();
    removeEventListener("focus", changed);
  };
}

function tellTabs(): void {
  const hints = openHints();
  hints.send({ kind: "signed_in" });
  hints.close();
}

/** Another tab signed in, or the window is looked at again: a page without a session asks once more. */
async function lookAgain(open: Open): Promise<void> {
  const now = state.peek();
  const needs = now.kind !== "open" || now.page.inbox.link.peek() === "signed_out";
  if (!needs) return;
  try {
    const session = await fetchSession(fetchHere);
    if (session.signedIn) await openPage(session, open);
  } catch {
    // Still unreachable: the page stays as it is.
  }
}

export function App({ open }: { readonly open: Open }) {
  useEffect(() => {
    const stops = [
      startRouter(),
      startClocks(),
      startFocusGuard(),
      startScreenKeyboard(),
      watchSession(() => void lookAgain(open)),
    ];
    void ask(open);
    return () => {
      for (const stop of stops) stop();
    };
  }, [open]);
  const onSession = (session: Session) => {
    if (!session.signedIn) return;
    tellTabs();
    void openPage(session, open);
  };
  return (
    <>
      <View state={state.value} open={open} onSession={onSession} />
      <LiveRegions />
    </>
  );
}

interface ViewProps {
  readonly state: State;
  readonly open: Open;
  readonly onSession: (session: Session) => void;
}

function View({ state: now, open, onSession }: ViewProps) {
  switch (now.kind) {
    case "asking":
      return (
        <main class="sign-in-view">
          <p>{t("loading")}</p>
        </main>
      );
    case "down":
      return (
        <main class="sign-in-view" data-focus-home>
          <h1 tabIndex={-1}>{t("down.title")}</h1>
          <p>{t("error.code.unavailable")}</p>
          <button type="button" class="button is-main" onClick={() => void ask(open)}>
            {t("down.again")}
          </button>
        </main>
      );
    case "signed_out":
      return <SignInView session={now.session} onDone={onSession} />;
    case "open":
      return <Shell page={now.page} onSession={onSession} />;
  }
}
