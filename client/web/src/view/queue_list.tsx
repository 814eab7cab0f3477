// The list of the queue: rows in groups, one tab stop, and a place that says why it is empty.

import { useEffect, useRef } from "preact/hooks";
import { language, t } from "../words";
import { Decided, loadDecided } from "./decided";
import {
  active,
  arrangement,
  chosen,
  drawn,
  PAGE_ROWS,
  rowById,
  selectionNow,
  setFocusInside,
  setPointerInside,
  toggleChosen,
} from "./list_state";
import { subjectOf, usePage } from "./page";
import { isOpen } from "./prompt_facts";
import { grouped } from "./queue_model";
import { QueuePage } from "./queue_page";
import { clearFilters, go, isPlainClick, refine, route } from "./route";

/** Listen to the list as a whole: rows may be thousands. Returns a function that stops it. */
function listen(element: HTMLElement): () => void {
  const stop = new AbortController();
  const { signal } = stop;
  element.addEventListener("click", onClick, { signal });
  element.addEventListener(
    "pointerenter",
    (event) => event.pointerType !== "touch" && setPointerInside(true),
    { signal },
  );
  element.addEventListener("pointerleave", () => setPointerInside(false), { signal });
  element.addEventListener("focusin", () => setFocusInside(true), { signal });
  element.addEventListener(
    "focusout",
    (event) => {
      const to = event.relatedTarget;
      if (!(to instanceof Node && element.contains(to))) setFocusInside(false);
    },
    { signal },
  );
  return () => {
    stop.abort();
    setPointerInside(false);
    setFocusInside(false);
  };
}

function onClick(event: MouseEvent): void {
  const target = event.target instanceof Element ? event.target : null;
  const choose = target?.closest("[data-choose]")?.getAttribute("data-choose");
  if (choose !== undefined && choose !== null) {
    active.value = choose;
    const row = rowById(choose);
    if (row !== undefined && isOpen(row)) toggleChosen(choose);
    else event.preventDefault();
    return;
  }
  const open = target?.closest("[data-open]")?.getAttribute("data-open");
  if (open === undefined || open === null || !isPlainClick(event)) return;
  event.preventDefault();
  active.value = open;
  go({ view: "prompt", promptId: open }, route.peek().place.view === "prompt" ? "replace" : "push");
}

function pagesOf(ids: readonly string[]): readonly (readonly string[])[] {
  const pages: (readonly string[])[] = [];
  for (let start = 0; start < ids.length; start += PAGE_ROWS) pages.push(ids.slice(start, start + PAGE_ROWS));
  return pages;
}

function labelOf(group: string, index: number): string {
  const name = group === "" ? t("queue.title") : group;
  return index === 0 ? name : t("queue.part", { name, n: index + 1 });
}

export function List() {
  const page = usePage();
  const { inbox } = page;
  const { place, query } = route.value;
  const ids = arrangement.value.ids;
  const box = useRef<HTMLDivElement>(null);
  const isDecided = query.view === "decided";
  const link = inbox.link.value;
  inbox.rows.value;

  useEffect(() => {
    if (isDecided) void loadDecided(page);
  }, [isDecided, page]);

  useEffect(() => (box.current === null ? undefined : listen(box.current)), []);

  const isEmpty = ids.length === 0;
  useEffect(() => {
    // The page opens with the focus in the list, so that keys work at once.
    if (isEmpty || place.view !== "queue" || document.activeElement !== document.body) return;
    box.current?.querySelector<HTMLElement>("[data-open]")?.focus({ preventScroll: true });
  }, [isEmpty]);

  const selected = place.view === "prompt" ? place.promptId : "";
  const shown = ids.slice(0, drawn.value);
  const found = new Map(shown.map((id) => [id, rowById(id)] as const));
  const known = new Map([...found].flatMap(([id, row]) => (row === undefined ? [] : [[id, row] as const])));
  const groups = grouped(shown, known, query.group);

  return (
    <div class="list" ref={box}>
      {ids.length === 0 ? <Empty /> : null}
      {groups.map((group) => (
        <div key={group.name} class="group">
          {query.group === "" ? null : (
            <h2 class="group-name">
              <bdi>{group.name === "" ? t("group.none") : group.name}</bdi>
              <span class="count">{group.ids.length.toLocaleString()}</span>
            </h2>
          )}
          {pagesOf(group.ids).map((part, index) => (
            <QueuePage
              key={index}
              label={labelOf(group.name, index)}
              rows={part.flatMap((id) => known.get(id) ?? [])}
              selected={selected}
              active={active.value}
              chosen={isDecided ? undefined : chosen.value}
              subject={subjectOf(page)}
              now={() => inbox.now()}
              isLive={link === "live"}
              speech={language()}
            />
          ))}
        </div>
      ))}
      {ids.length > drawn.value ? (
        <button
          type="button"
          class="more"
          onClick={() => {
            drawn.value += PAGE_ROWS;
          }}
        >
          {t("queue.more", { n: Math.min(PAGE_ROWS, ids.length - drawn.value), all: ids.length })}
        </button>
      ) : null}
      {isDecided ? <Decided /> : null}
    </div>
  );
}

/** An empty list says what it does not show, and why. */
function Empty() {
  const { inbox } = usePage();
  const { query } = route.value;
  const link = inbox.link.value;
  const found = selectionNow();
  if (query.view === "decided") return null;
  if (link === "connecting" || link === "catching_up") return <p class="empty">{t("queue.loading")}</p>;
  const hidden = found?.filtered ?? 0;
  const elsewhere = (found?.counts.all ?? 0) - (found?.rows.length ?? 0);
  return (
    <div class="empty">
      <p class="empty-title">{hidden > 0 ? t("empty.filtered") : t(`empty.${query.view}`)}</p>
      {hidden > 0 ? (
        <p>
          {t("empty.hidden", { n: hidden })}{" "}
          <button type="button" class="link-button" onClick={clearFilters}>
            {t("filters.clear")}
          </button>
        </p>
      ) : null}
      {found !== null && found.claimedByOthers > 0 && query.view === "unclaimed" ? (
        <p>{t("queue.claimed", { n: found.claimedByOthers })}</p>
      ) : null}
      {elsewhere > 0 && query.view === "mine" ? (
        <p>
          {t("empty.elsewhere", { n: elsewhere })}{" "}
          <button type="button" class="link-button" onClick={() => refine({ view: "all" })}>
            {t("empty.show_all")}
          </button>
        </p>
      ) : null}
    </div>
  );
}
