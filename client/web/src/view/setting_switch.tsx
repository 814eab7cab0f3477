// A setting that is on or off.

import type { Signal } from "@preact/signals";
import { t } from "../words/later";

interface SettingSwitchProps {
  readonly setting: Signal<boolean>;
  /** The key of its name; with `.more`, of what it does. */
  readonly name: "settings.keys" | "settings.quiet" | "notices.sound" | "notices.in_title";
  /** Called within the click that turns it on. */
  readonly onTurnedOn?: () => void;
}

export function SettingSwitch({ setting, name, onTurnedOn }: SettingSwitchProps) {
  return (
    <label class="choice">
      <input
        type="checkbox"
        checked={setting.value}
        onChange={(event) => {
          setting.value = event.currentTarget.checked;
          if (setting.value) onTurnedOn?.();
        }}
      />
      <span>
        {t(name)}
        <small>{t(`${name}.more`)}</small>
      </span>
    </label>
  );
}
