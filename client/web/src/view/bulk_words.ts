// The words for the result of one answer of a joint decision.

import type { Submission } from "../model/inbox";
import { t } from "../words/later";
import { errorText } from "./errors";
import { acceptedText } from "./labels";
import { votedText } from "./vote_facts";

/** What became of an answer; null: it is not sent yet. `subject` is the person at the page. */
export function resultText(sent: Submission | null, subject = ""): string {
  if (sent === null) return t("bulk.waiting");
  switch (sent.state) {
    case "sending":
      return t("verdict.sending");
    case "unconfirmed":
      return t("verdict.unconfirmed");
    case "accepted":
      return acceptedText(sent.prompt);
    case "recorded":
      return votedText(sent.prompt, subject) || t("verdict.recorded");
    case "closed":
      return t("bulk.too_late");
    case "stale":
      return t("verdict.stale");
    case "invalid":
      return t("verdict.invalid");
    case "refused":
      return errorText(sent.error);
  }
}
