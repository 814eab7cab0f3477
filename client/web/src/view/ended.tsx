// The views of what ended: what the person decided, and all that closed. The service lists it newest first, and the page
// reads it as far as it is scrolled. It is a record: nothing in it moves, more rows only come at its end.

import { signal } from "@preact/signals";
import type { Row } from "../model/inbox";
import type { ListPromptsRequest } from "../wire/messages";
import { t } from "../words";
import { labelsOf } from "./conditions";
import { errorText } from "./errors";
import { ended, type Ended, PAGE_ROWS } from "./list_state";
import { type Page, subjectOf } from "./page";
import { hasFilters, type Query } from "./query";

const NOTHING: Ended = { rows: [], total: 0, next: "" };
/** How many pages without a row are read at once: the service looks at 2,000 prompts for each. */
const EMPTY_PAGES = 5;

const isReading = signal(false);
const problem = signal("");
/** Rises with each new list: what an earlier one still receives is dropped. */
let list = 0;

/** What the service filters by. The words of a search are looked for in what was read. */
function requestOf(page: Page, query: Query): ListPromptsRequest {
  const filter = { kinds: query.kinds, jobTypes: query.types, labels: labelsOf(query.labels) };
  return query.view === "decided"
    ? { filter: { ...filter, answeredBy: subjectOf(page) } }
    : { filter, order: "PROMPT_ORDER_CLOSE_TIME" };
}

/** Read a view, from the newest. */
export function loadEnded(page: Page, query: Query): void {
  list += 1;
  isReading.value = false;
  ended.value = NOTHING;
  void read(page, query, "");
}

/** Read the next part of the list, if there is one. */
export function moreEnded(page: Page, query: Query): void {
  const { next } = ended.peek();
  if (next !== "" && !isReading.peek()) void read(page, query, next);
}

async function read(page: Page, query: Query, pageToken: string): Promise<void> {
  const own = list;
  isReading.value = true;
  problem.value = "";
  let next = pageToken;
  try {
    for (let empty = 0; empty < EMPTY_PAGES; empty += 1) {
      const reply = await page.inbox.call("HitlService/ListPrompts", {
        ...requestOf(page, query),
        pageSize: PAGE_ROWS,
        pageToken: next,
      });
      if (own !== list) return;
      const rows = (reply.prompts ?? []).map((prompt): Row => ({ prompt, arrivedAt: 0 }));
      next = reply.nextPageToken ?? "";
      ended.value = { rows: [...ended.peek().rows, ...rows], total: reply.totalSize ?? 0, next };
      if (rows.length > 0 || next === "") return;
    }
  } catch (error) {
    if (own === list) problem.value = errorText(error);
  } finally {
    if (own === list) isReading.value = false;
  }
}

/** What the list does not show, and why. */
export function EndOfRecord({ query, listed }: { readonly query: Query; readonly listed: number }) {
  const { rows, total, next } = ended.value;
  if (isReading.value) return <p class="empty">{t("queue.loading")}</p>;
  if (problem.value !== "") return <p class="empty">{problem.value}</p>;
  if (query.search !== "" && next !== "")
    return (
      <p class="note">
        {total < 0
          ? t("closed.searched", { n: rows.length })
          : t("decided.searched", { n: rows.length, all: total })}
      </p>
    );
  if (listed > 0 || next !== "") return null;
  return (
    <p class="empty empty-title">
      {t(hasFilters(query) ? "empty.filtered" : query.view === "decided" ? "empty.decided" : "empty.closed")}
    </p>
  );
}
