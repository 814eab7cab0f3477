// Setting when a person is away, and who stands in: a window, and a list of what is set.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Absence, SetAbsenceRequest } from "../wire/messages";
import { rich, t } from "../words/later";
import { absences, absencesOf, fromLocal, holds, learnAbsence, toLocal } from "./absences";
import { Failure } from "./failure";
import { announce } from "./live";
import { dialog, type Page, subjectOf, usePage } from "./page";
import { peopleOf, readPeople } from "./people/known_people";
import { instant } from "./prompt_facts";
import { halfMinute } from "./times";
import { Dialog, Name, Time } from "./ui";

/** The window in which a person says that it is away. */
export function OwnAbsence({ page }: { readonly page: Page }) {
  const close = () => {
    dialog.value = null;
  };
  return <AbsenceWindow page={page} subject={subjectOf(page)} onClose={close} />;
}

interface WindowProps {
  readonly page: Page;
  readonly subject: string;
  /** The one to change. Undefined: a further one. */
  readonly absence?: Absence;
  readonly onClose: () => void;
}

function AbsenceWindow({ page, subject, absence, onClose }: WindowProps) {
  const { inbox } = page;
  const from = useSignal(toLocal(absence?.fromTime));
  const until = useSignal(toLocal(absence?.untilTime));
  const substitute = useSignal(absence?.substitute ?? "");
  const comment = useSignal(absence?.comment ?? "");
  const isMissing = useSignal(false);
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);
  const people = useSignal<readonly string[]>([]);
  useEffect(() => {
    people.value = peopleOf(page);
    void readPeople(page).then((found) => {
      people.value = [...new Set([...people.peek(), ...found])].filter((one) => one !== subject).sort();
    });
  }, [page]);
  const isOwn = subject === subjectOf(page);

  const act = async (call: () => Promise<void>) => {
    if (busy.peek()) return;
    busy.value = true;
    error.value = null;
    try {
      await call();
      onClose();
    } catch (problem) {
      error.value = problem;
    }
    busy.value = false;
  };
  const save = () => {
    const untilTime = fromLocal(until.peek(), absence?.untilTime);
    isMissing.value = untilTime === undefined;
    if (untilTime === undefined) {
      document.getElementById("absence-until")?.focus();
      return;
    }
    void act(async () => {
      const fromTime = fromLocal(from.peek(), absence?.fromTime);
      const request: SetAbsenceRequest = {
        absenceId: absence?.absenceId ?? "",
        subject,
        ...(fromTime === undefined ? {} : { fromTime }),
        untilTime,
        substitute: substitute.peek().trim(),
        comment: comment.peek().trim(),
      };
      learnAbsence((await inbox.call("PolicyService/SetAbsence", request)).absence);
      announce(t("absence.saved"));
    });
  };
  const end = () =>
    void act(async () => {
      const request = { absenceId: absence?.absenceId ?? "" };
      learnAbsence((await inbox.call("PolicyService/DeleteAbsence", request)).absence);
      announce(t("absence.ended"));
    });

  return (
    <Dialog title={isOwn ? t("absence.title") : t("absence.title_of", { name: subject })} onClose={onClose}>
      <div class="dialog-body">
        <p class="hint">{t("absence.what")}</p>
        <label>
          <span>
            {t("absence.from")} <small>{t("absence.from.more")}</small>
          </span>
          <input
            type="datetime-local"
            value={from.value}
            onInput={(event) => {
              from.value = event.currentTarget.value;
            }}
          />
        </label>
        <label>
          <span>{t("absence.until")}</span>
          <input
            type="datetime-local"
            id="absence-until"
            value={until.value}
            required
            aria-invalid={isMissing.value}
            aria-describedby="absence-why"
            onInput={(event) => {
              until.value = event.currentTarget.value;
              isMissing.value = false;
            }}
          />
        </label>
        <label>
          <span>
            {t("absence.substitute")} {t("optional")}
          </span>
          <input
            type="text"
            list="absence-people"
            value={substitute.value}
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            onInput={(event) => {
              substitute.value = event.currentTarget.value;
            }}
          />
          <datalist id="absence-people">
            {people.value.map((one) => (
              <option key={one} value={one} />
            ))}
          </datalist>
        </label>
        <label>
          <span>
            {t("absence.comment")} {t("optional")} <small>{t("absence.comment.more")}</small>
          </span>
          <textarea
            rows={2}
            value={comment.value}
            autocomplete="off"
            dir="auto"
            onInput={(event) => {
              comment.value = event.currentTarget.value;
            }}
          />
        </label>
        <div id="absence-why" role="alert">
          {isMissing.value ? <p class="error-note">{t("absence.need.until")}</p> : null}
          {error.value === null ? null : <Failure error={error.value} what={t("absence.failed")} />}
        </div>
      </div>
      <footer class="dialog-foot">
        <button type="button" class="button is-main" aria-disabled={busy.value} onClick={save}>
          {t("absence.save")}
        </button>
        {absence === undefined ? null : (
          <button type="button" class="button" aria-disabled={busy.value} onClick={end}>
            {t(holds(absence, inbox.now()) ? "absence.end" : "absence.drop")}
          </button>
        )}
        <button type="button" class="button" onClick={onClose}>
          {t("cancel")}
        </button>
      </footer>
    </Dialog>
  );
}

/** What is set for a person, each with a way to change it, and a way to set a further one. Both need the right to. */
export function Absences({ subject }: { readonly subject: string }) {
  const page = usePage();
  const { inbox } = page;
  const asked = useSignal<Absence | "new" | null>(null);
  halfMinute.value;
  const now = inbox.now();
  const found = absencesOf(absences.value, subject, now);
  // In the list of people each has such buttons.
  const named = (text: string) => (subject === subjectOf(page) ? text : `${text} ${subject}`);
  return (
    <>
      {found.length === 0 ? null : (
        <ul class="absences" aria-label={t("absence.list")}>
          {found.map((one) => (
            <li key={one.absenceId} class="claim-line" data-absence={subject}>
              <AbsenceText absence={one} now={now} />
              <button
                type="button"
                class="button is-small"
                aria-label={named(t("absence.change"))}
                onClick={() => {
                  asked.value = one;
                }}
              >
                {t("absence.change")}
              </button>
            </li>
          ))}
        </ul>
      )}
      <p>
        <button
          type="button"
          class="button is-small"
          data-command="away"
          aria-label={named(t("absence.set"))}
          onClick={() => {
            asked.value = "new";
          }}
        >
          {t("absence.set")}
        </button>
      </p>
      {asked.value === null ? null : (
        <AbsenceWindow
          page={page}
          subject={subject}
          {...(asked.value === "new" ? {} : { absence: asked.value })}
          onClose={() => {
            asked.value = null;
          }}
        />
      )}
    </>
  );
}

/** "Away until 4 Dec, 10:00 · ben stands in". */
function AbsenceText({ absence, now }: { readonly absence: Absence; readonly now: number }) {
  const { substitute = "", comment = "" } = absence;
  const parts = {
    from: <Time at={instant(absence.fromTime) ?? now} now={now} />,
    time: <Time at={instant(absence.untilTime) ?? now} now={now} />,
  };
  return (
    <span>
      {holds(absence, now) ? <strong>{rich("absence.now", parts)}</strong> : rich("absence.planned", parts)}
      {" · "}
      {substitute === ""
        ? t("absence.no_substitute")
        : rich("absence.stands_in", { name: <Name text={substitute} /> })}
      {comment === "" ? null : (
        <>
          {" · "}
          <Name text={comment} />
        </>
      )}
    </span>
  );
}
