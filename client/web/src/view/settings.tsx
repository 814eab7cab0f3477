// The settings view: how the page looks and behaves in this browser, and who is signed in.

import { t } from "../words/later";
import { Absences } from "./absence_window";
import { LANGUAGES } from "../words";
import { dialog, subjectOf, usePage } from "./page";
import { instant } from "./prompt_facts";
import { SettingSwitch } from "./setting_switch";
import { settings, THEMES } from "./settings_store";
import { KeySettings } from "./settings_keys";
import { NoticeSettings } from "./settings_notices";
import { Name, Time } from "./ui";

export function SettingsView() {
  const page = usePage();
  const { session, inbox } = page;
  const { theme, language, singleKeys, quiet } = settings;
  const expires = instant(session.expireTime);
  return (
    <section class="settings" aria-labelledby="settings-title" data-focus-home>
      <h1 id="settings-title" tabIndex={-1}>
        {t("settings.title")}
      </h1>
      <h2>{t("settings.person")}</h2>
      <dl class="person">
        <dt>{t("person.name")}</dt>
        <dd>
          <Name text={session.subject ?? ""} />
        </dd>
        <dt>{t("person.groups")}</dt>
        <dd>
          <Name text={(session.groups ?? []).join(", ") || t("person.no_groups")} />
        </dd>
        <dt>{t("person.roles")}</dt>
        <dd>{(session.roles ?? []).join(", ")}</dd>
        {expires === undefined ? null : (
          <>
            <dt>{t("person.expires")}</dt>
            <dd>
              <Time at={expires} now={inbox.now()} />
            </dd>
          </>
        )}
        <dt>{t("person.server")}</dt>
        <dd>{session.server ?? ""}</dd>
      </dl>
      <button
        type="button"
        class="button"
        onClick={() => {
          dialog.value = "sign-out";
        }}
      >
        {t("sign_out")}
      </button>
      {subjectOf(page) === "" ? null : (
        <>
          <h2>{t("absence.section")}</h2>
          <p class="hint">{t("absence.hint")}</p>
          <Absences subject={subjectOf(page)} />
        </>
      )}
      <h2>{t("settings.browser")}</h2>
      <p class="hint">{t("settings.where")}</p>
      <fieldset>
        <legend>{t("settings.theme")}</legend>
        {THEMES.map((name) => (
          <label key={name} class="choice">
            <input
              type="radio"
              name="theme"
              checked={theme.value === name}
              onChange={() => {
                theme.value = name;
              }}
            />
            {t(`theme.${name}`)}
          </label>
        ))}
      </fieldset>
      <fieldset>
        <legend>{t("settings.language")}</legend>
        {LANGUAGES.map((name) => (
          <label key={name} class="choice" lang={name}>
            <input
              type="radio"
              name="language"
              checked={language.value === name}
              onChange={() => {
                language.value = name;
              }}
            />
            {t(`language.${name}`)}
          </label>
        ))}
      </fieldset>
      <fieldset>
        <legend>{t("settings.access")}</legend>
        <SettingSwitch setting={singleKeys} name="settings.keys" />
        <SettingSwitch setting={quiet} name="settings.quiet" />
      </fieldset>
      <NoticeSettings />
      <KeySettings />
    </section>
  );
}
