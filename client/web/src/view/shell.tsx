// The page around the views: header, connection strip, panes, windows, live regions.

import { effect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { t } from "../words";
import { ConnectionStrip } from "./connection";
import { isAdmin, isClient, writesRules } from "./roles";
import { ALL_JOBS } from "./jobs/job_query";
import { startKeyboard } from "./keyboard";
import { lazy, windows } from "./lazy";
import { startList } from "./list_state";
import { USUAL_WINDOW } from "./overview/window";
import { ALL_PEOPLE } from "./people/people_query";
import { dialog, type Page, PageProvider, subjectOf, toast } from "./page";
import { Queue } from "./queue";
import { formatRoute, go, isPlainClick, type Place, route } from "./route";
import { SignInForm } from "./sign_in";
import { disturb } from "./steady";
import { loadAgain } from "../content/slices";
import type { Inbox } from "../model/inbox";
import type { Session } from "../model/session";
import { openPalette } from "./typed_ahead";
import { Dialog, Icon, type IconName, Key } from "./ui";
import { Who } from "./who";

const Detail = lazy(async () => (await import("./detail")).Detail);
const OpenWindow = lazy(async () => (await windows()).OpenWindow);
const Toast = lazy(async () => (await windows()).Toast);
const pages = () => import("./pages");
const JobsView = lazy(async () => (await pages()).JobsView);
const JobView = lazy(async () => (await pages()).JobView);
const PeopleView = lazy(async () => (await pages()).PeopleView);
const RulesView = lazy(async () => (await pages()).RulesView);
const OverviewView = lazy(async () => (await pages()).OverviewView);
const SettingsView = lazy(async () => (await windows()).SettingsView);

/** Start what is not needed for the first paint. Returns a function that stops it, also before it is there. */
function startLater(read: () => Promise<() => void>): () => void {
  let isGone = false;
  let stop = () => {};
  // Where it cannot be loaded, the panes cannot either, and they say so.
  void read().then(
    (started) => {
      stop = started;
      if (isGone) stop();
    },
    () => undefined,
  );
  return () => {
    isGone = true;
    stop();
  };
}

/** Note what the page shows when it is first live: what comes later is new, also before the notices are loaded. */
function noteFirstLive(inbox: Inbox): { firstLive: () => ReadonlySet<string> | null; stop: () => void } {
  let first: ReadonlySet<string> | null = null;
  const note = (isLive: boolean) => {
    if (isLive) first ??= new Set(inbox.rows.peek().keys());
  };
  note(inbox.link.peek() === "live");
  return { firstLive: () => first, stop: inbox.follow(note) };
}

interface ShellProps {
  readonly page: Page;
  /** The person signed in again, perhaps as someone else. */
  readonly onSession: (session: Session) => void;
}

export function Shell({ page, onSession }: ShellProps) {
  useEffect(() => {
    Detail.load();
    OpenWindow.load();
    // A wake-up or a catch-up is a change too: the buttons show the dead time after it.
    const stopSteady = effect(() => disturb(page.inbox.steadySince.value));
    const stopLoads = effect(() => {
      if (page.inbox.link.value === "live") loadAgain();
    });
    const { firstLive, stop: stopFirst } = noteFirstLive(page.inbox);
    const stops = [
      stopSteady,
      stopLoads,
      startList(page.inbox, subjectOf(page)),
      stopFirst,
      startLater(async () => (await import("./notices")).startNotices(page, firstLive())),
      startLater(async () => (await windows()).watchAbsence(page)),
      startKeyboard(page),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  }, [page]);
  const { place } = route.value;
  return (
    <PageProvider value={page}>
      <div class={`shell at-${place.view}`} inert={dialog.value !== null}>
        <Header page={page} />
        <ConnectionStrip />
        <main class="panes" id="main">
          {/* Another person who signs in gets a page of their own: nothing of the one before stays in a view. */}
          <View key={page} place={place} />
        </main>
      </div>
      <Windows page={page} onSession={onSession} />
      {toast.value === null ? null : <Toast.Component given={toast.value} />}
    </PageProvider>
  );
}

function View({ place }: { readonly place: Place }) {
  if (place.view === "settings") return <SettingsView.Component />;
  if (place.view === "jobs") return <JobsView.Component filter={place.filter} />;
  if (place.view === "job") return <JobView.Component key={place.jobId} jobId={place.jobId} />;
  if (place.view === "people") return <PeopleView.Component filter={place.filter} />;
  if (place.view === "rules") return <RulesView.Component ruleId={place.ruleId} />;
  if (place.view === "overview") return <OverviewView.Component window={place.window} />;
  if (place.view === "unknown") {
    return (
      <section class="settings" data-focus-home>
        <h1 tabIndex={-1}>{t("unknown.title")}</h1>
        <p>{t("unknown.text")}</p>
        <Link place={{ view: "queue" }} icon="inbox" text={t("queue.title")} />
      </section>
    );
  }
  return (
    <>
      <Queue />
      <Detail.Component />
    </>
  );
}

/** The view of one thing of a list's view. */
const PARTS: { readonly [view: string]: string | undefined } = { queue: "prompt", jobs: "job" };

function Link({
  place,
  icon,
  text,
}: {
  readonly place: Place;
  readonly icon: IconName;
  readonly text: string;
}) {
  const { place: here, query } = route.value;
  const isHere = here.view === place.view || here.view === PARTS[place.view];
  return (
    <a
      href={formatRoute(place, query)}
      aria-current={isHere ? "page" : undefined}
      aria-label={text}
      onClick={(event) => {
        if (!isPlainClick(event)) return;
        event.preventDefault();
        go(place);
      }}
    >
      <Icon name={icon} />
      <span>{text}</span>
    </a>
  );
}

function Header({ page }: { readonly page: Page }) {
  return (
    <header class="top">
      <p class="brand">{t("app.name")}</p>
      <nav aria-label={t("nav.title")}>
        <Link place={{ view: "queue" }} icon="inbox" text={t("queue.title")} />
        {isClient(page.inbox.session.value) ? (
          <Link place={{ view: "jobs", filter: ALL_JOBS }} icon="job" text={t("jobs.title")} />
        ) : null}
        <Link place={{ view: "overview", window: USUAL_WINDOW }} icon="chart" text={t("overview.title")} />
        {isAdmin(page.inbox.session.value) ? (
          <Link place={{ view: "people", filter: ALL_PEOPLE }} icon="person" text={t("people.title")} />
        ) : null}
        {writesRules(page.inbox.session.value) ? (
          <Link place={{ view: "rules", ruleId: "" }} icon="check" text={t("rules.title")} />
        ) : null}
        <Link place={{ view: "settings" }} icon="gear" text={t("settings.title")} />
      </nav>
      <button
        type="button"
        class="button top-search"
        onClick={() => {
          openPalette();
        }}
      >
        <Icon name="search" />
        <span class="top-search-name">{t("palette.title")}</span>
        <Key name="Ctrl K" />
      </button>
      <button
        type="button"
        class="button"
        aria-label={t("help.title")}
        onClick={() => {
          dialog.value = "help";
        }}
      >
        <span aria-hidden="true">?</span>
      </button>
      <p class="who" title={t("person.signed_in")}>
        <Who />
      </p>
    </header>
  );
}

function Windows({ page, onSession }: ShellProps) {
  const close = () => {
    dialog.value = null;
  };
  if (dialog.value === "sign-in") {
    return (
      <Dialog title={t("sign_in.again")} onClose={close}>
        <div class="dialog-body">
          <p>{t("sign_in.kept")}</p>
          <SignInForm
            session={page.session}
            onDone={(session) => {
              close();
              onSession(session);
            }}
          />
        </div>
      </Dialog>
    );
  }
  return dialog.value === null ? null : <OpenWindow.Component page={page} />;
}
