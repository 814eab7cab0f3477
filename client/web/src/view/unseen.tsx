// What of a prompt was not on the screen yet, and the ways through it.

import { t } from "../words/later";
import { unseenLines } from "./deciding";
import { changes, folded, place, showNextChange } from "./diff_changes";
import { KeyHint } from "./key_hint";
import { Icon } from "./ui";

/** What was not scrolled into view yet. */
export function Unseen() {
  const n = unseenLines.value;
  const seen = folded.value === 0 ? t("seen.all") : t("seen.unfolded", { n: folded.value });
  return (
    <p class={n === 0 ? "status-text is-fine" : "status-text"}>
      {n === 0 ? null : <Icon name="eye" />}
      <span>
        {n === 0 ? seen : t("seen.not", { n })}{" "}
        {n === 0 ? null : (
          <button type="button" class="link-button" data-command="scroll" onClick={scrollOn}>
            {t("seen.show")}
          </button>
        )}
        <NextChange />
      </span>
    </p>
  );
}

function NextChange() {
  const n = changes.value;
  if (n === 0) return null;
  return (
    <>
      <button type="button" class="link-button" data-command="change" onClick={showNextChange}>
        {t("change.next", { n })}
        <KeyHint does="key.change" />
      </button>
      {/* Spoken at once: other announcements wait for 5 s, and a reader goes on sooner. */}
      <span class="visually-hidden" role="status">
        {place.value === 0 ? "" : t("change.at", { place: place.value, n })}
      </span>
    </>
  );
}

function scrollOn(): void {
  const box = document.getElementById("detail-scroll");
  box?.scrollBy({ top: box.clientHeight * 0.85 });
}
