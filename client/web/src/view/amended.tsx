// What changed under the person's eyes: an amendment, and text that was written for another revision.

import { DiffView } from "../content";
import { rich, t } from "../words/later";
import type { Prompt, PromptContent } from "../wire/messages";
import { usePage } from "./page";
import { idOf, revisionOf } from "./prompt_facts";
import { Name, Time } from "./ui";
import type { Work } from "./work";

/** Everything that people decide on, as one text: what a comparison of two revisions is made of. */
function contentText(prompt: Prompt): string {
  const content: PromptContent = prompt.content ?? {};
  const parts = [content.title ?? "", content.body ?? ""];
  for (const part of content.contents ?? []) {
    parts.push(`== ${part.title || part.contentId}`, part.text ?? part.url ?? "");
  }
  if (content.questions !== undefined) parts.push(JSON.stringify(content.questions, null, 2));
  if ((content.schemaJson ?? "") !== "") parts.push(content.schemaJson ?? "");
  const options = (content.decisions ?? []).map((option) => `${option.label ?? option.decision}`);
  parts.push(options.join(" / "));
  return parts.filter((part) => part !== "").join("\n\n");
}

/** Above the content of a reviewed revision: what is different from the one before. */
export function Amended({ work }: { readonly work: Work }) {
  const shown = work.shown.value;
  const before = work.before.value;
  if (before === null) return null;
  return (
    <details class="notice" open>
      <summary>{t("amended.diff", { from: revisionOf(before), to: revisionOf(shown) })}</summary>
      <DiffView before={contentText(before)} after={contentText(shown)} />
    </details>
  );
}

/** Text of the person that was kept: filled in again, or offered because the question has changed since. */
export function Offered({ work }: { readonly work: Work }) {
  const { inbox } = usePage();
  const offered = work.offered.value;
  const restored = work.restoredFrom.value;
  if (offered !== null) {
    return (
      <div class="notice" data-draft={idOf(work.shown.value)}>
        <p>
          {rich("draft.offered", {
            revision: String(offered.revision),
            time: <Time at={offered.savedAt ?? inbox.now()} now={inbox.now()} />,
          })}
        </p>
        <pre class="draft-text">
          <Name
            text={[
              offered.comment,
              offered.values === "{}" ? "" : offered.values,
              ...Object.values(offered.edits),
            ]
              .filter((text) => text !== "")
              .join("\n")}
          />
        </pre>
        <button type="button" class="button" onClick={() => work.takeOffered()}>
          {t("draft.use")}
        </button>
        <button type="button" class="button" onClick={() => work.discard()}>
          {t("draft.discard")}
        </button>
      </div>
    );
  }
  if (restored === 0) return null;
  return (
    <div class="notice is-quiet">
      <p>{rich("draft.restored", { time: <Time at={restored} now={inbox.now()} /> })}</p>
      <button type="button" class="link-button" onClick={() => work.discard()}>
        {t("draft.discard")}
      </button>
    </div>
  );
}
