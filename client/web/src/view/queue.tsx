// The queue: views, filters, the list, what was chosen.

import { useEffect } from "preact/hooks";
import { t } from "../words";
import { Filters } from "./filters";
import { lazy, windows } from "./lazy";
import {
  arrangement,
  chosen,
  ended,
  jointDecision,
  listedCount,
  selectionNow,
  showWaiting,
} from "./list_state";
import { idOf } from "./prompt_facts";
import { isRecord, VIEWS, type View } from "./query";
import { List } from "./queue_list";
import { formatRoute, go, isPlainClick, refine, route } from "./route";
import { Icon } from "./ui";

const Chosen = lazy(async () => (await windows()).Chosen);

export function Queue() {
  useEffect(Chosen.load, []);
  return (
    <section class="queue" aria-labelledby="queue-title" data-focus-home>
      <h1 id="queue-title" class="visually-hidden" tabIndex={-1}>
        {t("queue.title")}
      </h1>
      <Views />
      <Filters />
      <Waiting />
      <List />
      {chosen.value.size > 0 || jointDecision.value !== null ? <Chosen.Component /> : null}
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
