// The settings of notifications, tone and title. Nothing is on until the person turns it on.

import { signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { t } from "../words/later";
import { notify, unsupported } from "./alerts";
import { settings } from "./settings_store";
import { playTone, primeTone } from "./tone";

/** What the browser allows; it may change in the browser's own settings. */
const permission = signal(currentPermission());

function currentPermission(): NotificationPermission {
  return typeof Notification === "undefined" ? "denied" : Notification.permission;
}

export function NoticeSettings() {
  const { sound, volume, titles } = settings;
  return (
    <fieldset aria-describedby="notices-why">
      <legend>{t("notices.title")}</legend>
      <p class="hint" id="notices-why">
        {t("notices.why")}
      </p>
      <Desktop />
      <label class="choice">
        <input
          type="checkbox"
          checked={sound.value}
          onChange={(event) => {
            sound.value = event.currentTarget.checked;
            if (sound.value) primeTone();
          }}
        />
        <span>
          {t("notices.sound")}
          <small>{t("notices.sound.more")}</small>
        </span>
      </label>
      {sound.value ? (
        <p class="volume">
          <label>
            {t("notices.volume")}{" "}
            <input
              type="range"
              min={5}
              max={100}
              step={5}
              value={volume.value}
              onInput={(event) => {
                volume.value = event.currentTarget.valueAsNumber;
              }}
            />
          </label>
          <button type="button" class="button is-small" onClick={() => void playTone(volume.peek())}>
            {t("notices.play")}
          </button>
        </p>
      ) : null}
      <label class="choice">
        <input
          type="checkbox"
          checked={titles.value}
          onChange={(event) => {
            titles.value = event.currentTarget.checked;
          }}
        />
        <span>
          {t("notices.in_title")}
          <small>{t("notices.in_title.more")}</small>
        </span>
      </label>
    </fieldset>
  );
}

function Desktop() {
  const wasRefused = useSignal(false);
  useEffect(() => {
    permission.value = currentPermission();
  }, []);
  const { notify: wanted } = settings;
  /** Browsers ask the person only if this runs in a click. */
  const turn = async (isOn: boolean) => {
    wanted.value = isOn && permission.peek() === "granted";
    if (!isOn || unsupported.peek()) return;
    permission.value = await Notification.requestPermission();
    wanted.value = permission.peek() === "granted";
    wasRefused.value = !wanted.peek();
  };
  const isBlocked = (wanted.value || wasRefused.value) && permission.value !== "granted";
  return (
    <>
      <label class="choice">
        <input
          type="checkbox"
          checked={wanted.value}
          aria-describedby="notices-blocked"
          onChange={(event) => {
            const box = event.currentTarget;
            void turn(box.checked).finally(() => {
              box.checked = wanted.peek();
            });
          }}
        />
        <span>
          {t("notices.desktop")}
          <small>{t("notices.desktop.more")}</small>
        </span>
      </label>
      <p
        class={isBlocked || unsupported.value ? "notice" : "visually-hidden"}
        role="status"
        id="notices-blocked"
      >
        {unsupported.value
          ? t("notices.unsupported")
          : isBlocked
            ? t(permission.value === "denied" ? "notices.denied" : "notices.unanswered")
            : ""}
      </p>
      {wanted.value && !isBlocked ? (
        <p>
          <button
            type="button"
            class="button is-small"
            onClick={() => notify(t("notices.sample"), t("notices.desktop.more"), true)}
          >
            {t("notices.try")}
          </button>
        </p>
      ) : null}
    </>
  );
}
