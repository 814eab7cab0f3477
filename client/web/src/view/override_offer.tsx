// The way to an override, apart from the decisions.

import type { Row } from "../model/inbox";
import { t } from "../words/later";
import { excludes } from "./deciding";
import { dialog, subjectOf, usePage } from "./page";
import { isClaimedByOther } from "./prompt_facts";
import { Icon } from "./ui";

/** For admins, where the prompt has rules that an override does without. The service knows whether it allows it. */
export function OfferOverride({ row }: { readonly row: Row }) {
  const page = usePage();
  const { inbox } = page;
  if (inbox.session.value.admin !== true) return null;
  const hasRules =
    row.prompt.content?.approval !== undefined ||
    excludes(page, row) ||
    isClaimedByOther(row.prompt, subjectOf(page), inbox.now());
  if (!hasRules) return null;
  return (
    <button
      type="button"
      class="link-button override"
      data-command="override"
      aria-disabled={!inbox.canDecide.value}
      onClick={() => {
        if (inbox.canDecide.peek()) dialog.value = "override";
      }}
    >
      <Icon name="alert" />
      {t("override.open")}
    </button>
  );
}
