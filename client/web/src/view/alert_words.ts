// What a notification says: the title and the kind of a question, or how many there are. Others may look at the screen,
// so it has nothing else of them.

import type { Prompt } from "../wire/messages";
import { t } from "../words/later";
import { kindWords } from "./labels";
import { oneLine } from "./one_line";

const TITLE_LENGTH = 120;
const LINE_LENGTH = 80;
/** How many questions a summary names. */
const NAMED = 3;

interface AlertWords {
  readonly title: string;
  readonly body: string;
}

function kindOf(prompt: Prompt): string {
  return oneLine(kindWords(prompt.content?.kind), LINE_LENGTH);
}

/** The words for new prompts, oldest first. `open` is how many questions wait in all. */
export function alertWords(unseen: readonly Prompt[], open: number): AlertWords {
  const [first] = unseen;
  if (first !== undefined && unseen.length === 1) {
    const title = oneLine(first.content?.title ?? "", TITLE_LENGTH);
    const count = open > 1 ? t("queue.all", { n: open }) : "";
    return { title, body: [kindOf(first), count].filter((text) => text !== "").join(" · ") };
  }
  const lines = unseen
    .slice(0, NAMED)
    .map((prompt) => `${oneLine(prompt.content?.title ?? "", LINE_LENGTH)} (${kindOf(prompt)})`);
  if (unseen.length > NAMED) lines.push(t("notices.more", { n: unseen.length - NAMED }));
  return { title: t("live.new", { n: unseen.length }), body: lines.join("\n") };
}
