// The words for the result of one answer of a joint decision.

import type { Submission } from "../model/inbox";
import type { Prompt } from "../wire/messages";
import { t } from "../words/later";
import { errorText } from "./errors";
import { acceptedText } from "./labels";
import { votedText } from "./vote_facts";

/** What became of an answer to a prompt, as it is now. `subject` is the person at the page. */
export function resultText(sent: Submission | null, prompt: Prompt = {}, subject = ""): string {
  if (sent === null) return "";
  switch (sent.state) {
    case "sending":
      return t("verdict.sending");
    case "unconfirmed":
      return t("verdict.unconfirmed");
    case "accepted":
      return acceptedText(sent.prompt);
    case "recorded":
      return votedText(prompt, subject) || t("verdict.recorded");
    case "closed":
      return t("bulk.too_late");
    case "stale":
      return t("verdict.stale");
    case "invalid":
      return [t("verdict.invalid"), ...sent.violations.map((one) => one.description ?? "")].join(" ");
    case "refused":
      return errorText(sent.error);
  }
}
