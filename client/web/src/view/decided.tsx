// The view of what the person decided: the service lists it newest first, and the page reads it as far as it is
// scrolled. The list is a record: nothing in it moves, more rows only come at its end.

import { signal } from "@preact/signals";
import type { Row } from "../model/inbox";
import type { PromptFilter } from "../wire/messages";
import { t } from "../words";
import { labelsOf } from "./conditions";
import { errorText } from "./errors";
import { decided, type Decisions, PAGE_ROWS } from "./list_state";
import { type Page, subjectOf } from "./page";
import type { Query } from "./query";

const NOTHING: Decisions = { rows: [], total: 0, next: "" };

const isReading = signal(false);
const problem = signal("");
/** Rises with each new list: what an earlier one still receives is dropped. */
let list = 0;

/** What the service filters by. The words of a search are looked for in what was read. */
function filterOf(page: Page, query: Query): PromptFilter {
  return {
    answeredBy: subjectOf(page),
    kinds: query.kinds,
    jobTypes: query.types,
    labels: labelsOf(query.labels),
  };
}

/** Read what the person decided, from the newest. */
export function loadDecided(page: Page, query: Query): void {
  list += 1;
  isReading.value = false;
  decided.value = NOTHING;
  void read(page, query, "");
}

/** Read the next part of the list, if there is one. */
export function moreDecided(page: Page, query: Query): void {
  const { next } = decided.peek();
  if (next !== "" && !isReading.peek()) void read(page, query, next);
}

async function read(page: Page, query: Query, pageToken: string): Promise<void> {
  const own = list;
  isReading.value = true;
  problem.value = "";
  try {
    const reply = await page.inbox.call("HitlService/ListPrompts", {
      filter: filterOf(page, query),
      pageSize: PAGE_ROWS,
      pageToken,
    });
    if (own !== list) return;
    const rows = (reply.prompts ?? []).map((prompt): Row => ({ prompt, arrivedAt: 0 }));
    decided.value = {
      rows: [...decided.peek().rows, ...rows],
      total: reply.totalSize ?? 0,
      next: reply.nextPageToken ?? "",
    };
  } catch (error) {
    if (own === list) problem.value = errorText(error);
  } finally {
    if (own === list) isReading.value = false;
  }
}

/** What the list does not show, and why. */
export function Decided({ query, listed }: { readonly query: Query; readonly listed: number }) {
  const { rows, total } = decided.value;
  if (isReading.value) return <p class="empty">{t("queue.loading")}</p>;
  if (problem.value !== "") return <p class="empty">{problem.value}</p>;
  if (total === 0) {
    const isNarrow = query.kinds.length + query.types.length + query.labels.length > 0;
    return <p class="empty empty-title">{t(isNarrow ? "empty.filtered" : "empty.decided")}</p>;
  }
  if (query.search === "") return null;
  if (rows.length === total)
    return listed > 0 ? null : <p class="empty empty-title">{t("empty.filtered")}</p>;
  return <p class="note">{t("decided.searched", { n: rows.length, all: total })}</p>;
}
