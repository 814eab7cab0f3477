// The queue: views, filters, the list, what was chosen.

import { t } from "../words";
import { Filters } from "./filters";
import {
  arrangement,
  chosen,
  ended,
  jointDecision,
  listedCount,
  selectionNow,
  showWaiting,
} from "./list_state";
import { dialog } from "./page";
import { idOf } from "./prompt_facts";
import { isRecord, VIEWS, type View } from "./query";
import { List } from "./queue_list";
import { formatRoute, go, isPlainClick, refine, route } from "./route";
import { Icon } from "./ui";

export function Queue() {
  return (
    <section class="queue" aria-labelledby="queue-title" data-focus-home>
      <h1 id="queue-title" class="visually-hidden" tabIndex={-1}>
        {t("queue.title")}
      </h1>
      <Views />
      <Filters />
      <Waiting />
      <List />
      <Chosen />
    </section>
  );
}

function Views() {
  const { query } = route.value;
  const counts = selectionNow()?.counts;
  const listed = listedCount();
  const countOf = (view: View): number | undefined => {
    if (view === query.view) return listed;
    return view === "decided" || view === "closed" ? undefined : counts?.[view];
  };
  return (
    <nav class="views" aria-label={t("queue.views")}>
      {VIEWS.map((view) => (
        <a
          key={view}
          href={formatRoute({ view: "queue" }, { ...query, view })}
          aria-current={view === query.view ? "page" : undefined}
          data-view={view}
          onClick={(event) => {
            if (!isPlainClick(event)) return;
            event.preventDefault();
            refine({ view });
          }}
        >
          {t(`view.${view}`)}
          {countOf(view) === undefined ? null : <span class="count">{countOf(view)?.toLocaleString()}</span>}
        </a>
      ))}
    </nav>
  );
}

/** What waits while a person is in the list. Its place is kept free, so that nothing moves when it comes. */
function Waiting() {
  const { added, urgent, moved } = arrangement.value;
  const text =
    added > 0
      ? urgent > 0
        ? t("queue.new.urgent", { n: added, urgent })
        : t("queue.new", { n: added })
      : moved
        ? t("queue.moved")
        : "";
  return (
    <div class="waiting">
      {text === "" ? (
        <Summary />
      ) : (
        <button type="button" class="waiting-button" onClick={showWaiting}>
          <Icon name="up" />
          {text}
        </button>
      )}
      <Ending />
    </div>
  );
}

/** How many questions end within minutes, also where the order or a filter keeps them off the screen. Opens the first. */
function Ending() {
  const ending = selectionNow()?.ending ?? [];
  const [first] = ending;
  if (first === undefined) return null;
  return (
    <button
      type="button"
      class="link-button ends-soon"
      onClick={() => go({ view: "prompt", promptId: idOf(first) })}
    >
      {t("queue.ending", { n: ending.length })}
    </button>
  );
}

/** How many rows are listed, and how many are not and why. */
function Summary() {
  const { query } = route.value;
  const found = selectionNow();
  const n = listedCount();
  const hasOlder = query.view === "closed" && ended.value.next !== "";
  const parts = [t(hasOlder ? "queue.closed.older" : `queue.${query.view}`, { n })];
  if (!isRecord(query.view) && found !== null) {
    if (found.filtered > 0) parts.push(t("queue.filtered", { n: found.filtered }));
    if (query.view === "unclaimed" && found.claimedByOthers > 0) {
      parts.push(t("queue.claimed", { n: found.claimedByOthers }));
    }
  }
  return <p class="summary">{parts.join(" · ")}</p>;
}

/** The way back to the results of the last joint decision. */
function Sent() {
  const sent = jointDecision.value;
  if (sent === null || dialog.value === "bulk") return null;
  return (
    <section class="chosen" aria-label={t("chosen.results")}>
      <span>{t("chosen.done", { n: sent.sent.size })}</span>
      <button
        type="button"
        class="button"
        data-command="results"
        onClick={() => {
          dialog.value = "bulk";
        }}
      >
        {t("chosen.results")}
      </button>
      <button
        type="button"
        class="button"
        aria-label={t("close")}
        onClick={() => {
          jointDecision.value = null;
        }}
      >
        <Icon name="cross" />
      </button>
    </section>
  );
}

/** The rows that were chosen, and what can be done with all of them. */
function Chosen() {
  const n = chosen.value.size;
  if (n === 0) return <Sent />;
  return (
    <section class="chosen" aria-label={t("chosen.title")}>
      <span>{t("chosen.count", { n })}</span>
      <button
        type="button"
        class="button is-main"
        onClick={() => {
          jointDecision.value = null;
          dialog.value = "bulk";
        }}
      >
        {t("chosen.decide")}
      </button>
      <button
        type="button"
        class="button"
        onClick={() => {
          chosen.value = new Set();
        }}
      >
        {t("chosen.clear")}
      </button>
    </section>
  );
}
