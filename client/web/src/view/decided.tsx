// The view of what the person decided. The service has no such list, so the page reads the answered prompts and
// picks those that this person answered.

import { signal } from "@preact/signals";
import type { Row } from "../model/inbox";
import type { Prompt } from "../wire/messages";
import { t } from "../words";
import { errorText } from "./errors";
import { decided } from "./list_state";
import { type Page, subjectOf } from "./page";
import { instant } from "./prompt_facts";

/** How many answered prompts the page reads at most, in pages of 500. */
const MOST_PAGES = 4;

const state = signal<
  { readonly kind: "idle" | "loading" | "partial" } | { readonly kind: "failed"; readonly text: string }
>({
  kind: "idle",
});

/** Read what the person decided. */
export async function loadDecided(page: Page): Promise<void> {
  state.value = { kind: "loading" };
  const found: Prompt[] = [];
  let token = "";
  try {
    for (let count = 0; count < MOST_PAGES; count += 1) {
      const reply = await page.inbox.call("HitlService/ListPrompts", {
        filter: { states: ["PROMPT_STATE_ANSWERED"] },
        pageSize: 500,
        ...(token === "" ? {} : { pageToken: token }),
      });
      found.push(...(reply.prompts ?? []));
      token = reply.nextPageToken ?? "";
      if (token === "") break;
    }
  } catch (error) {
    state.value = { kind: "failed", text: errorText(error) };
    return;
  }
  const subject = subjectOf(page);
  const own = found.filter((prompt) => prompt.resolution?.answer?.userId === subject);
  const time = (prompt: Prompt) => instant(prompt.resolution?.time) ?? 0;
  own.sort((one, other) => time(other) - time(one));
  decided.value = own.map((prompt): Row => ({ prompt, arrivedAt: 0 }));
  state.value = { kind: token === "" ? "idle" : "partial" };
}

/** What the list of decided prompts does not show. */
export function Decided() {
  const now = state.value;
  if (now.kind === "loading") return <p class="empty">{t("queue.loading")}</p>;
  if (now.kind === "failed") return <p class="empty">{now.text}</p>;
  if (now.kind === "partial") return <p class="note">{t("decided.partial")}</p>;
  return decided.value.length === 0 ? <p class="empty empty-title">{t("empty.decided")}</p> : null;
}
