// What was chosen in the list for a joint decision, and the way back to the results of the last one.

import { t } from "../words/later";
import { chosen, jointDecision } from "./list_state";
import { dialog } from "./page";
import { Icon } from "./ui";

export function Chosen() {
  return (
    <>
      <Sent />
      <Selected />
    </>
  );
}

/** The way back to the results of the last joint decision. */
function Sent() {
  const sent = jointDecision.value;
  if (sent === null || dialog.value === "bulk") return null;
  return (
    <section class="chosen" aria-label={t("chosen.results")}>
      <span>{t("chosen.done", { n: sent.sent.size })}</span>
      <button
        type="button"
        class="button"
        data-command="results"
        onClick={() => {
          dialog.value = "bulk";
        }}
      >
        {t("chosen.results")}
      </button>
      <button
        type="button"
        class="button"
        aria-label={t("close")}
        onClick={() => {
          jointDecision.value = null;
        }}
      >
        <Icon name="cross" />
      </button>
    </section>
  );
}

/** The rows that were chosen, and what can be done with all of them. */
function Selected() {
  const n = chosen.value.size;
  if (n === 0) return null;
  return (
    <section class="chosen" aria-label={t("chosen.title")}>
      <span>{t("chosen.count", { n })}</span>
      <button
        type="button"
        class="button is-main"
        onClick={() => {
          jointDecision.value = null;
          dialog.value = "bulk";
        }}
      >
        {t("chosen.decide")}
      </button>
      <button
        type="button"
        class="button"
        onClick={() => {
          chosen.value = new Set();
        }}
      >
        {t("chosen.clear")}
      </button>
    </section>
  );
}
