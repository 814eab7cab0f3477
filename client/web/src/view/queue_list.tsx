// The list of the queue: rows in groups, one tab stop, and a place that says why it is empty.

import { useEffect, useRef } from "preact/hooks";
import { language, t } from "../words";
import { EndOfRecord, loadEnded, moreEnded } from "./ended";
import { kindWords, typeWords } from "./labels";
import { type ListPage, pagesOf } from "./list_pages";
import {
  active,
  arrangement,
  chosen,
  drawn,
  ended,
  PAGE_ROWS,
  rowById,
  selectionNow,
  setFocusInside,
  setPointerInside,
  toggleChosen,
} from "./list_state";
import { groupsOf, subjectOf, usePage } from "./page";
import { endOf, isOpen } from "./prompt_facts";
import { isRecord, type Query } from "./query";
import { factOf, type GroupOf, grouped, groupSizes, type Similar, similarRows } from "./queue_model";
import { QueuePage } from "./queue_page";
import { clearFilters, go, isPlainClick, refine, route } from "./route";
import { day, halfMinute } from "./times";
import { Name } from "./ui";

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

/** The similar rows that the list shows now: what waits or is filtered out is not among them. */
let similarShown: ReadonlyMap<string, Similar> = new Map();

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
  const similar = target?.closest("[data-similar]")?.getAttribute("data-similar");
  if (similar !== undefined && similar !== null) {
    chosen.value = new Set([...chosen.peek(), ...(similarShown.get(similar)?.open ?? [])]);
    return;
  }
  const open = target?.closest("[data-open]")?.getAttribute("data-open");
  if (open === undefined || open === null || !isPlainClick(event)) return;
  event.preventDefault();
  active.value = open;
  go({ view: "prompt", promptId: open }, route.peek().place.view === "prompt" ? "replace" : "push");
}

/** How the rows are grouped; null: not at all. What ended is a diary, unless the person groups it otherwise. */
function groupingOf({ view, group }: Query, now: number): GroupOf | null {
  if (group !== "") return factOf(group);
  if (!isRecord(view)) return null;
  // It is another day after midnight.
  halfMinute.value;
  return (row) => {
    const at = row === undefined ? undefined : endOf(row);
    return at === undefined ? "" : day(at, now);
  };
}

/** The name of a group, for people. */
function groupWords(name: string, by: string): string {
  if (name === "") return t("group.none");
  if (by === "type") return typeWords(name);
  return by === "kind" ? kindWords(name) : name;
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
  const pages = useRef(new Map<string, readonly ListPage[]>());
  const paged = (group: string, members: readonly string[]): readonly ListPage[] => {
    const made = pagesOf(members, pages.current.get(group) ?? [], PAGE_ROWS);
    pages.current.set(group, made);
    return made;
  };
  const isEnded = isRecord(query.view);
  const link = inbox.link.value;
  inbox.rows.value;

  const narrowed = JSON.stringify([query.view, query.kinds, query.types, query.labels]);
  useEffect(() => {
    if (isEnded) loadEnded(page, query);
  }, [narrowed, page]);

  useEffect(() => (box.current === null ? undefined : listen(box.current)), []);

  const isReady = ids.length > 0 && link === "live";
  useEffect(() => {
    // The page opens with the focus in the list, so that keys work at once; at a row that stays where it is.
    if (!isReady || place.view !== "queue" || document.activeElement !== document.body) return;
    box.current?.querySelector<HTMLElement>("[data-open]")?.focus({ preventScroll: true });
  }, [isReady]);

  const selected = place.view === "prompt" ? place.promptId : "";
  const shown = ids.slice(0, drawn.value);
  const found = new Map(shown.map((id) => [id, rowById(id)] as const));
  const known = new Map([...found].flatMap(([id, row]) => (row === undefined ? [] : [[id, row] as const])));
  const groupOf = groupingOf(query, inbox.now());
  const groups = grouped(shown, known, groupOf);
  similarShown = new Map(
    isEnded ? [] : groups.flatMap((group) => [...similarRows(group.ids, known, active.value)]),
  );
  const sizes = query.group === "" || isEnded ? null : groupSizes(ids, rowById, query.group);
  const isDecided = query.view === "decided";
  const all = isDecided ? ended.value.total : ids.length;
  const read = isDecided ? Math.min(drawn.value, ended.value.rows.length) : shown.length;
  const hasMore = ids.length > drawn.value || (isEnded && ended.value.next !== "");
  const showMore = () => {
    drawn.value += PAGE_ROWS;
    if (isEnded && ids.length < drawn.value) moreEnded(page, query);
  };

  return (
    <div class="list" ref={box}>
      {ids.length === 0 ? <Empty /> : null}
      {groups.map((group) => (
        <div key={group.name} class="group">
          {groupOf === null ? null : (
            <h2 class="group-name">
              <Name text={groupWords(group.name, query.group)} />
              <span class="count">
                {(sizes === null ? group.ids.length : (sizes.get(group.name) ?? 0)).toLocaleString()}
              </span>
            </h2>
          )}
          {paged(group.name, group.ids).map((part, index) => (
            <QueuePage
              key={part.key}
              label={labelOf(groupOf === null ? "" : groupWords(group.name, query.group), index)}
              rows={part.ids.flatMap((id) => known.get(id) ?? [])}
              selected={selected}
              active={active.value}
              chosen={isEnded ? undefined : chosen.value}
              subject={subjectOf(page)}
              groups={groupsOf(page)}
              now={() => inbox.now()}
              isLive={link === "live"}
              speech={language()}
              isUnderDay={isEnded && query.group === ""}
              similar={similarShown}
              isGrouped={groupOf !== null}
            />
          ))}
        </div>
      ))}
      {hasMore ? <More shown={read} all={all} onMore={showMore} /> : null}
      {isEnded ? <EndOfRecord query={query} listed={ids.length} /> : null}
    </div>
  );
}

interface MoreProps {
  readonly shown: number;
  readonly all: number;
  readonly onMore: () => void;
}

/** More rows at the end of the list, where nothing above them moves: as soon as a person scrolls there. */
function More({ shown, all, onMore }: MoreProps) {
  const button = useRef<HTMLButtonElement>(null);
  const latest = useRef(onMore);
  latest.current = onMore;
  useEffect(() => {
    const end = new IntersectionObserver((seen) => {
      if (seen.some((entry) => entry.isIntersecting)) latest.current();
    });
    if (button.current !== null) end.observe(button.current);
    return () => end.disconnect();
  }, [shown]);
  return (
    <button type="button" class="more" ref={button} onClick={() => latest.current()}>
      {all > shown ? t("queue.more", { n: Math.min(PAGE_ROWS, all - shown), all }) : t("queue.older")}
    </button>
  );
}

/** An empty list says what it does not show, and why. */
function Empty() {
  const { inbox } = usePage();
  const { query } = route.value;
  const link = inbox.link.value;
  const found = selectionNow();
  if (isRecord(query.view)) return null;
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
