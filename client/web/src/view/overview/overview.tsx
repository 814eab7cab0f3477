// The overview: what waits, who is connected, and what happened. A console sees the figures of its own questions.

import type { ConnectedStreams } from "../../wire/messages";
import { locale } from "../../words";
import { rich, t } from "../../words/later";
import { CallError } from "../../model/call_error";
import { ErrorNote } from "../errors";
import { announce } from "../live";
import { instant } from "../prompt_facts";
import { exact } from "../times";
import { Activity } from "./activity";
import { EVERY, type Found, useOverview } from "./live_overview";
import { Figure, figure } from "./parts";
import { Oldest, Waiting } from "./waiting";
import type { WindowName } from "./window";

/** A time of day to the second, with all of it on hover. */
function ReadTime({ at }: { readonly at: number }) {
  const text = new Intl.DateTimeFormat(locale(), { timeStyle: "medium" }).format(new Date(at));
  return (
    <time dateTime={new Date(at).toISOString()} title={exact(at)}>
      {text}
    </time>
  );
}

export function OverviewView({ window }: { readonly window: WindowName }) {
  const { found, error, isReading, read } = useOverview(window);
  const problem = error.value;
  const shown = found.value;
  const isForbidden = problem instanceof CallError && problem.code === "permission_denied";
  const readNow = async () => {
    await read();
    if (error.peek() === null) announce(t("overview.read_done"));
  };
  const at = instant(shown?.reply.time);
  return (
    <section class="jobs overview" aria-labelledby="overview-title" data-focus-home>
      <h1 id="overview-title" tabIndex={-1}>
        {t("overview.title")}
      </h1>
      {isForbidden ? (
        <p>{t("overview.forbidden")}</p>
      ) : (
        <>
          {problem === null ? null : <ErrorNote error={problem} />}
          <p class="overview-read">
            {at === undefined ? null : (
              <span>
                {problem === null
                  ? rich("overview.read", { time: <ReadTime at={at} />, n: EVERY })
                  : rich("overview.old", { time: <ReadTime at={at} /> })}
              </span>
            )}
            <button
              type="button"
              class="button is-small"
              aria-disabled={isReading.value}
              onClick={() => {
                if (!isReading.peek()) void readNow();
              }}
            >
              {t("overview.read_now")}
            </button>
          </p>
          {shown === null ? (
            problem === null ? (
              <p class="empty">{t("overview.loading")}</p>
            ) : null
          ) : (
            <Sections found={shown} />
          )}
        </>
      )}
    </section>
  );
}

function Sections({ found }: { readonly found: Found }) {
  const { reply, window } = found;
  return (
    <>
      {reply.activity === undefined ? <p class="hint">{t("overview.own")}</p> : null}
      <Waiting reply={reply} />
      <Oldest reply={reply} />
      {reply.streams === undefined ? null : <Streams streams={reply.streams} />}
      {reply.activity === undefined ? null : (
        <Activity activity={reply.activity} now={instant(reply.time) ?? 0} window={window} />
      )}
    </>
  );
}

function Streams({ streams }: { readonly streams: ConnectedStreams }) {
  const { people = 0, consoles = 0, workers = 0 } = streams;
  return (
    <section class="section" aria-labelledby="overview-streams">
      <h2 id="overview-streams">{t("overview.streams")}</h2>
      <ul class="figures">
        <Figure value={figure(people)}>{t("overview.streams.people", { n: people })}</Figure>
        <Figure value={figure(consoles)}>{t("overview.streams.consoles", { n: consoles })}</Figure>
        <Figure value={figure(workers)}>{t("overview.streams.workers", { n: workers })}</Figure>
      </ul>
    </section>
  );
}
