// The things to look at, and their texts to edit where the asker allows it.

import { DiffView, PartView, Plain } from "../content";
import { t } from "../words/later";
import type { Answer, PromptPart } from "../wire/messages";
import { decisionsOf, isEditable } from "./prompt_facts";
import { Icon } from "./ui";
import type { Work } from "./work";

interface PartsProps {
  readonly work: Work;
  readonly isOpen: boolean;
  /** The answer of a closed prompt. */
  readonly answer: Answer | undefined;
}

export function Parts({ work, isOpen, answer }: PartsProps) {
  const prompt = work.shown.peek();
  const parts = prompt.content?.contents ?? [];
  const canEdit = isOpen && decisionsOf(prompt).some((option) => option.decision === "DECISION_EDIT");
  return (
    <>
      {parts.map((part) => (
        <section key={part.contentId} class="part" aria-label={part.title || part.contentId}>
          <h2 class="part-head">
            <Plain text={part.title || (part.contentId ?? "")} />
          </h2>
          <PartView part={part} />
          <Answered part={part} answer={answer} />
          {canEdit && isEditable(part) ? <Edit work={work} part={part} /> : null}
        </section>
      ))}
    </>
  );
}

/** How the answer changed a text. */
function Answered({ part, answer }: { readonly part: PromptPart; readonly answer: Answer | undefined }) {
  const edit = answer?.edits?.find((one) => one.contentId === part.contentId);
  if (edit === undefined) return null;
  return (
    <div class="part-edited">
      <p>{t("edit.answered")}</p>
      <DiffView before={part.text ?? ""} after={edit.text ?? ""} />
    </div>
  );
}

function Edit({ work, part }: { readonly work: Work; readonly part: PromptPart }) {
  const id = part.contentId ?? "";
  const original = part.text ?? "";
  const text = work.edits.value[id] ?? original;
  const name = part.title || id;
  if (!work.isEditing.value) {
    return (
      <button
        type="button"
        class="button is-small"
        onClick={() => {
          work.isEditing.value = true;
        }}
      >
        <Icon name="pencil" />
        {t("edit.start")}
      </button>
    );
  }
  return (
    <div class="part-edit">
      <label>
        <span>
          {t("edit.label")} <Plain text={name} />
        </span>
        <textarea
          rows={Math.min(24, Math.max(6, text.split("\n").length + 1))}
          value={text}
          spellcheck={false}
          autocomplete="off"
          dir="auto"
          onInput={(event) => work.setEdit(id, event.currentTarget.value)}
        />
      </label>
      {text === original ? (
        <p class="hint">{t("edit.unchanged")}</p>
      ) : (
        <>
          <button type="button" class="link-button" onClick={() => work.setEdit(id, original)}>
            {t("edit.reset")}
          </button>
          <details class="edit-diff">
            <summary>{t("edit.diff")}</summary>
            <DiffView before={original} after={text} />
          </details>
        </>
      )}
    </div>
  );
}
