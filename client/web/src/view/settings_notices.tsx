// The settings of notifications, tone and title. Nothing is on until the person turns it on.

import { signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { t } from "../words/later";
import { notify, unsupported } from "./alerts";
import { SettingSwitch } from "./setting_switch";
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
      <SettingSwitch setting={sound} name="notices.sound" onTurnedOn={primeTone} />
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
      <SettingSwitch setting={titles} name="notices.in_title" />
    </fieldset>
  );
}

function Desktop() {
  const wasRefused = useSignal(false);
  const isAsked = useSignal(false);
  useEffect(() => {
    permission.value = currentPermission();
  }, []);
  const { notify: wanted } = settings;
  /** Browsers ask the person only if this runs in a click. */
  const turn = async (isOn: boolean) => {
    permission.value = currentPermission();
    wanted.value = isOn && permission.peek() === "granted";
    if (!isOn || unsupported.peek()) return;
    // A browser that has denied it does not ask again, and some do not even reply.
    if (permission.peek() !== "denied") {
      isAsked.value = true;
      permission.value = await Notification.requestPermission();
      isAsked.value = false;
    }
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
            const done = turn(box.checked);
            // It is on when the browser allows it, which may take as long as the person's reply.
            box.checked = wanted.peek();
            void done.finally(() => {
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
        class={isBlocked || isAsked.value || unsupported.value ? "notice" : "visually-hidden"}
        role="status"
        id="notices-blocked"
      >
        {unsupported.value
          ? t("notices.unsupported")
          : isAsked.value
            ? t("notices.asked")
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
