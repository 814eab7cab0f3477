// What changed under the person's eyes: an amendment, and text that was written for another revision.

import { useMemo } from "preact/hooks";
import { DiffView } from "../content";
import { FormView, makeForm } from "../forms";
import { formWords } from "../words";
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

/** The values of a draft as the form that is asked now would show them. */
function OfferedForm({ work, values }: { readonly work: Work; readonly values: string }) {
  const form = useMemo(() => {
    const made = makeForm(work.shown.peek().content ?? {}, { words: formWords() });
    made.restore(values);
    return made;
  }, [work, values]);
  return form.isTouched ? <FormView form={form} readOnly /> : null;
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
        {[offered.comment, ...Object.values(offered.edits)]
          .filter((text) => text !== "")
          .map((text) => (
            <pre key={text} class="draft-text">
              <Name text={text} />
            </pre>
          ))}
        <OfferedForm work={work} values={offered.values} />
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
