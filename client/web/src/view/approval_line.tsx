// How many people must approve a prompt, and how many have, in one line of its head.

import type { Prompt } from "../wire/messages";
import { t } from "../words/later";
import { oneLine } from "./one_line";
import { Icon } from "./ui";
import { missingText, progressOf } from "./vote_facts";

/** "1 of 2 approvals · needs 1 of release". Empty where the first answer decides. */
export function progressText(prompt: Prompt): string {
  const progress = progressOf(prompt);
  if (progress === undefined) return "";
  const rules = prompt.content?.approval?.rulesMayFill ?? 0;
  const { votes, required, missing, versions, rejections, rejectAt } = progress;
  const parts = [
    votes >= required ? t("votes.enough", { n: votes }) : t("votes.progress", { done: votes, n: required }),
    missingText(missing),
    rules > 0 && required > 1 ? t("votes.may_fill", { n: rules }) : "",
    versions > 1 ? t("votes.versions", { n: versions }) : "",
    rejectAt > 1 ? t("votes.rejections", { done: rejections, n: rejectAt }) : "",
  ];
  return parts.filter((part) => part !== "").join(" · ");
}

export function ApprovalLine({ prompt }: { readonly prompt: Prompt }) {
  const text = progressText(prompt);
  if (text === "") return null;
  return (
    <div class="claim-line" data-approval>
      <p class="fact">
        <Icon name="check" />
        <strong>{text}</strong>
      </p>
      {(prompt.votes ?? []).length === 0 ? null : (
        <button type="button" class="link-button" data-command="votes" onClick={showVotes}>
          {t("votes.show")}
        </button>
      )}
      {(prompt.shortfalls ?? []).map(({ group = "", known = 0, required = 0 }) => (
        <p key={group} class="hint">
          {group === ""
            ? t("votes.short.all", { known, n: required })
            : t("votes.short", { known, n: required, group: oneLine(group, 100) })}
        </p>
      ))}
    </div>
  );
}

function showVotes(): void {
  const votes = document.getElementById("votes");
  const box = document.getElementById("detail-scroll");
  if (votes === null || box === null) return;
  // Only this box scrolls: `scrollIntoView` moves the page around it too.
  box.scrollBy({ top: votes.getBoundingClientRect().top - box.getBoundingClientRect().top });
  votes.focus({ preventScroll: true });
}
