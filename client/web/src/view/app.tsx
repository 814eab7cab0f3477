// The page from its first paint on: who is signed in, then the inbox of that person.

import { useEffect, useMemo } from "preact/hooks";
import { openHints, tellTabs } from "../model/hints";
import { fetchSession, type Session } from "../model/session";
import { fetchHere } from "../model/start";
import { Attempts } from "../wire/attempts";
import { clock } from "../wire/browser";
import { t } from "../words";
import { startFocusGuard } from "./focus_guard";
import { LiveRegions } from "./live_regions";
import { type Open, Opener, type Opening } from "./opener";
import { go, startRouter } from "./route";
import { startScreenKeyboard } from "./screen_keyboard";
import { Shell } from "./shell";
import { SignInView } from "./sign_in";
import { startClocks } from "./times";

/** Look, again and again until the gateway answers: answers of an earlier load of this tab may wait to be sent. */
function startAsking(opener: Opener): { ask(): void; stop(): void } {
  let asking = false;
  const attempts = new Attempts(clock, Math.random, () => void ask());
  const ask = async () => {
    if (asking) return;
    asking = true;
    attempts.begun();
    try {
      await opener.look();
    } catch {
      const { kind } = opener.state.peek();
      // A form to sign in stays, and a page with its text too.
      if (kind === "asking" || kind === "down") {
        opener.state.value = { kind: "down" };
        attempts.later();
      }
    }
    asking = false;
  };
  return { ask, stop: () => attempts.cancel() };
}

/** Look when another tab signed in or out, and when the window is looked at again. Nothing depends on a hint. */
function watchSession(opener: Opener, changed: () => void): () => void {
  const hints = openHints();
  const stop = hints.listen((hint) => {
    if (hint.kind === "signed_in") changed();
    else if (hint.kind === "signed_out") void opener.left(hint.subject).then(changed);
  });
  addEventListener("focus", changed);
  return () => {
    stop();
    hints.close();
    removeEventListener("focus", changed);
  };
}

export function App({ open }: { readonly open: Open }) {
  const opener = useMemo(
    () =>
      new Opener(
        open,
        () => fetchSession(fetchHere),
        () => go({ view: "queue" }, "replace"),
      ),
    [open],
  );
  const asker = useMemo(() => startAsking(opener), [opener]);
  useEffect(() => {
    const stops = [
      startRouter(),
      startClocks(),
      startFocusGuard(),
      startScreenKeyboard(),
      watchSession(opener, asker.ask),
      asker.stop,
    ];
    asker.ask();
    return () => {
      for (const stop of stops) stop();
    };
  }, [opener, asker]);
  const onSession = (session: Session) => {
    if (!session.signedIn) return;
    tellTabs({ kind: "signed_in" });
    void opener.enter(session);
  };
  return (
    <>
      <View state={opener.state.value} ask={asker.ask} onSession={onSession} />
      <LiveRegions />
    </>
  );
}

interface ViewProps {
  readonly state: Opening;
  readonly ask: () => void;
  readonly onSession: (session: Session) => void;
}

function View({ state: now, ask, onSession }: ViewProps) {
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
          <button type="button" class="button is-main" onClick={ask}>
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
