// The help on `?`: the keys, and what the marks mean.

import { t } from "../words/later";
import { keysOf } from "./key_choices";
import { OTHER_KEYS, PAGE_KEYS, type PageKey, PROMPT_KEYS } from "./keys";
import { dialog } from "./page";
import { settings } from "./settings_store";
import { Dialog } from "./ui";

export function Help() {
  const close = () => {
    dialog.value = null;
  };
  return (
    <Dialog title={t("help.title")} onClose={close} wide>
      <div class="dialog-body help">
        {settings.singleKeys.value ? null : <p class="notice">{t("help.keys_off")}</p>}
        <div class="help-columns">
          <KeyTable title={t("help.page")} keys={PAGE_KEYS} />
          <KeyTable title={t("help.prompt")} keys={PROMPT_KEYS} />
          <KeyTable title={t("help.always")} keys={OTHER_KEYS} isFixed />
        </div>
        <p class="hint">{t("help.rules")}</p>
      </div>
    </Dialog>
  );
}

interface TableProps {
  readonly title: string;
  readonly keys: readonly PageKey[];
  /** Keys that cannot be changed. */
  readonly isFixed?: boolean;
}

function KeyTable({ title, keys, isFixed = false }: TableProps) {
  return (
    <section>
      <h3>{title}</h3>
      <dl class="keys">
        {keys.map((command) => (
          <div key={command.does}>
            <dt>
              {(isFixed ? [command.key] : keysOf(command)).map((key) => (
                <kbd key={key} class="key">
                  {key}
                </kbd>
              ))}
            </dt>
            <dd>{t(command.does)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
