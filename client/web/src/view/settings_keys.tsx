// The settings of the keys: what each command reacts to, one more key for it, and back to the usual ones.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../words/later";
import { keysOf } from "./key_choices";
import { addKey, COMMANDS, removeKey } from "./key_map";
import type { PageKey } from "./keys";
import { settings } from "./settings_store";
import { Icon } from "./ui";

export function KeySettings() {
  /** What became of the last change; the place of its row shows it. */
  const said = useSignal<{ readonly command: PageKey | null; readonly text: string } | null>(null);
  const asks = useSignal<PageKey | null>(null);
  const isChanged = Object.keys(settings.keys.value).length > 0;
  const take = (command: PageKey, event: KeyboardEvent) => {
    const { key } = event;
    if (["Shift", "Control", "Alt", "AltGraph", "Meta", "CapsLock", "Tab"].includes(key)) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.isComposing || event.repeat) return;
    if (key === "Escape") {
      asks.value = null;
      return;
    }
    const isPlain = !event.ctrlKey && !event.altKey && !event.metaKey;
    const found = isPlain ? addKey(settings.keys.peek(), command, key) : { kind: "unusable" as const };
    const tell = (text: string) => {
      said.value = { command, text };
    };
    if (found.kind === "unusable") tell(t("keys.unusable", { key }));
    else if (found.kind === "taken") tell(t("keys.taken", { key, name: t(found.by.does) }));
    else {
      settings.keys.value = found.choices;
      asks.value = null;
      tell(t("keys.set", { key, name: t(command.does) }));
    }
  };
  return (
    <section class="key-settings" aria-labelledby="keys-title">
      <h2 id="keys-title">{t("keys.title")}</h2>
      <p class="hint">{t("keys.more")}</p>
      {settings.singleKeys.value ? null : <p class="notice">{t("keys.off")}</p>}
      <ul>
        {COMMANDS.map((command) => (
          <li key={command.does} data-command={command.does}>
            <span>{t(command.does)}</span>
            <span class="key-choices">
              {keysOf(command).map((key) => (
                <Chosen key={key} command={command} name={key} onRemove={() => (said.value = null)} />
              ))}
              {keysOf(command).length === 0 ? <small>{t("keys.none")}</small> : null}
              <Adder
                command={command}
                isAsking={asks.value === command}
                onAsk={(isAsking) => {
                  if (isAsking) said.value = null;
                  if (isAsking || asks.peek() === command) asks.value = isAsking ? command : null;
                }}
                onKey={(event) => take(command, event)}
              />
            </span>
            {said.value?.command === command ? <small class="key-said">{said.value.text}</small> : null}
          </li>
        ))}
      </ul>
      <p>
        <button
          type="button"
          class="button"
          aria-disabled={!isChanged}
          onClick={() => {
            if (!isChanged) return;
            settings.keys.value = {};
            said.value = { command: null, text: t("keys.were_reset") };
          }}
        >
          {t("keys.reset")}
        </button>{" "}
        <span class="key-said">{said.value?.command === null ? said.value.text : ""}</span>
      </p>
      <p class="visually-hidden" role="status">
        {said.value?.text ?? ""}
      </p>
    </section>
  );
}

interface ChosenProps {
  readonly command: PageKey;
  readonly name: string;
  readonly onRemove: () => void;
}

/** A key of a command. A press takes it away; the focus goes on to the button that adds one. */
function Chosen({ command, name, onRemove }: ChosenProps) {
  return (
    <button
      type="button"
      class="button is-small key-choice"
      aria-label={t("keys.remove", { key: name, name: t(command.does) })}
      onClick={(event) => {
        event.currentTarget.parentElement?.querySelector<HTMLElement>(".key-add")?.focus();
        onRemove();
        settings.keys.value = removeKey(settings.keys.peek(), command, name);
      }}
    >
      <kbd class="key">{name}</kbd>
      <Icon name="cross" />
    </button>
  );
}

interface AdderProps {
  readonly command: PageKey;
  readonly isAsking: boolean;
  readonly onAsk: (isAsking: boolean) => void;
  readonly onKey: (event: KeyboardEvent) => void;
}

function Adder({ command, isAsking, onAsk, onKey }: AdderProps) {
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (isAsking) button.current?.focus();
  }, [isAsking]);
  return (
    <button
      ref={button}
      type="button"
      class="button is-small key-add"
      aria-label={isAsking ? t("keys.press") : t("keys.add.for", { name: t(command.does) })}
      aria-pressed={isAsking}
      onClick={() => onAsk(!isAsking)}
      onBlur={() => onAsk(false)}
      onKeyDown={isAsking ? onKey : undefined}
    >
      {isAsking ? t("keys.press") : t("keys.add")}
    </button>
  );
}
