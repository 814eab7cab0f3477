// The strip under the header: the state of the connection. Its height is fixed, so that nothing moves when it changes.

import { useEffect, useRef } from "preact/hooks";
import { type Key, t } from "../words";
import { interrupt } from "./live";
import { awayText, dialog, usePage } from "./page";
import { span } from "./times";
import { Icon } from "./ui";
import { Who } from "./who";

/** After how long without a connection the loss is announced, in milliseconds. */
const ANNOUNCE_MS = 10_000;

export function ConnectionStrip() {
  const { inbox, drafts, session } = usePage();
  const link = inbox.link.value;
  const reason = inbox.linkReason.value;
  const away = inbox.away.value;
  const isLive = link === "live";
  const wasLive = useRef(false);
  useEffect(() => {
    if (isLive) {
      wasLive.current = true;
      return;
    }
    if (!wasLive.current) return;
    const timer = setTimeout(() => interrupt(t("live.lost")), ANNOUNCE_MS);
    return () => clearTimeout(timer);
  }, [isLive]);

  // Why a session ended is written for programs; what to do is on the button.
  const hasReason = reason !== "" && !isLive && link !== "signed_out";
  const words: Key = `link.${link}`;
  return (
    <section class={`strip is-${link}`} data-link={link} aria-label={t("link.title")}>
      <p class="strip-state">
        {isLive ? <span class="dot" aria-hidden="true" /> : <Icon name="alert" />}
        <span>
          {t(words)}
          {hasReason ? ` (${reason})` : ""}
        </span>
      </p>
      {link === "signed_out" ? (
        <button
          type="button"
          class="button is-main"
          onClick={() => {
            dialog.value = "sign-in";
          }}
        >
          {t("sign_in.again")}
        </button>
      ) : null}
      {link === "page_too_old" || inbox.newerPage.value ? (
        <p>
          {link === "page_too_old" ? null : t("page.newer")}{" "}
          <button type="button" class="button is-main" onClick={() => location.reload()}>
            {t("page.reload")}
          </button>
        </p>
      ) : null}
      {drafts.status.value === "full" ? <p>{t("draft.full")}</p> : null}
      {away === null ? null : (
        <p class="away">
          {t("away.text", {
            span: span(Math.max(0, inbox.now() - away.since), { seconds: false }),
            closed: t("away.closed", { n: away.closed }),
            added: t("away.added", { n: away.added }),
          })}
          <button type="button" class="link-button" onClick={() => inbox.dismissAway()}>
            {t("away.dismiss")}
          </button>
        </p>
      )}
      {awayText.value === "" ? null : <strong data-away>{awayText}</strong>}
      <p class="strip-who">
        <Who />
      </p>
      <p class="strip-server">{session.server ?? ""}</p>
    </section>
  );
}
