// Delegating a prompt and returning it, with what the page remembers of prompts that it does not see any more.

import { signal } from "@preact/signals";
import type { Inbox } from "../model/inbox";
import type { DelegatePromptRequest } from "../wire/messages";
import { t } from "../words/later";
import { changes, type GivenAway, type Page, toast } from "./page";
import { idOf } from "./prompt_facts";
import type { Work } from "./work";

/** The prompts that were given away in this page, by id: the person does not see them any more, and can take them back. */
export const givenAway = signal<ReadonlyMap<string, GivenAway>>(new Map());

/** What was given away by this person. */
export function givenBy(page: Page, promptId: string): GivenAway | undefined {
  const found = givenAway.value.get(promptId);
  return found?.page === page ? found : undefined;
}

/** To whom a prompt is delegated, in words. */
export function targetText({
  user = "",
  group = "",
}: {
  readonly user?: string;
  readonly group?: string;
}): string {
  return user || t("audience.group", { name: group });
}

/** Delegate a prompt. Rejects with CallError. */
export async function delegate(
  page: Page,
  work: Work,
  request: Required<Pick<DelegatePromptRequest, "mode" | "user" | "group" | "comment">>,
): Promise<void> {
  const shown = work.shown.peek();
  const { user, group } = request;
  await page.inbox.call("HitlService/DelegatePrompt", { promptId: work.promptId, ...request });
  changes.value += 1;
  if (request.mode !== "DELEGATION_MODE_TRANSFER") return;
  const given = { page, promptId: idOf(shown), title: shown.content?.title ?? "", user, group };
  givenAway.value = new Map([...givenAway.peek(), [given.promptId, given]]);
  toast.value = given;
}

/** End a delegation; with neither a person nor a group that to the caller. Rejects with CallError. */
export async function giveBack(inbox: Inbox, promptId: string, user: string, group: string): Promise<void> {
  await inbox.call("HitlService/DelegatePrompt", {
    promptId,
    mode: "DELEGATION_MODE_RETURN",
    ...(user === "" ? {} : { user }),
    ...(group === "" ? {} : { group }),
  });
  const left = new Map(givenAway.peek());
  left.delete(promptId);
  givenAway.value = left;
  if (toast.peek()?.promptId === promptId) toast.value = null;
  changes.value += 1;
}
