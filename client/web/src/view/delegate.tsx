// The window in which a person gives its right to answer to another person or to a group.

import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { Plain } from "../content";
import type { DelegationMode } from "../wire/messages";
import { t } from "../words/later";
import { delegate, targetText } from "./delegation_calls";
import { Failure } from "./failure";
import { announce } from "./live";
import { dialog, type Page } from "./page";
import { groupsOf, peopleOf, readPeople } from "./people/known_people";
import { route } from "./route";
import { isSteadyClick, unsteady } from "./steady";
import { Dialog } from "./ui";
import type { Work } from "./work";

export function Delegate({ page }: { readonly page: Page }) {
  const { place } = route.value;
  const work = place.view === "prompt" ? page.works.get(place.promptId) : undefined;
  return work === undefined ? null : <DelegateDialog key={work.promptId} {...{ page, work }} />;
}

const MODES = [
  ["DELEGATION_MODE_TRANSFER", "delegate.transfer", "delegate.transfer.more"],
  ["DELEGATION_MODE_ADD", "delegate.add", "delegate.add.more"],
] as const;

const KINDS = [
  ["user", "delegate.person"],
  ["group", "delegate.group"],
] as const;

function DelegateDialog({ page, work }: { readonly page: Page; readonly work: Work }) {
  const { inbox } = page;
  const mode = useSignal<DelegationMode>("DELEGATION_MODE_TRANSFER");
  const kind = useSignal<"user" | "group">("user");
  const name = useSignal("");
  const comment = useSignal("");
  const isMissing = useSignal(false);
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);
  const people = useSignal<readonly string[]>([]);
  const prompt = useMemo(() => work.shown.peek(), [work]);
  useEffect(() => {
    people.value = peopleOf(page);
    void readPeople(page).then((found) => {
      people.value = [...new Set([...people.peek(), ...found])].sort();
    });
  }, [page]);
  const close = () => {
    dialog.value = null;
  };

  const send = async (event: MouseEvent) => {
    if (busy.peek() || !inbox.canDecide.peek() || !isSteadyClick(event, inbox.steadySince.peek())) return;
    const to = name.peek().trim();
    error.value = null;
    isMissing.value = to === "";
    if (to === "") {
      document.getElementById("delegate-name")?.focus();
      return;
    }
    const target = { user: kind.peek() === "user" ? to : "", group: kind.peek() === "group" ? to : "" };
    busy.value = true;
    try {
      await delegate(page, work, { mode: mode.peek(), ...target, comment: comment.peek().trim() });
      close();
      announce(
        t(mode.peek() === "DELEGATION_MODE_ADD" ? "delegate.added" : "delegate.done", {
          target: targetText(target),
        }),
      );
    } catch (problem) {
      error.value = problem;
    }
    busy.value = false;
  };

  const listed = kind.value === "user" ? people.value : groupsOf(page);
  return (
    <Dialog title={t("delegate.title")} onClose={close}>
      <div class="dialog-body">
        <p>
          <strong>
            <Plain text={prompt.content?.title ?? ""} />
          </strong>
        </p>
        <fieldset>
          <legend>{t("delegate.to")}</legend>
          {KINDS.map(([value, text]) => (
            <label key={value} class="choice">
              <input
                type="radio"
                name="delegate-kind"
                checked={kind.value === value}
                onChange={() => {
                  kind.value = value;
                }}
              />
              <span>{t(text)}</span>
            </label>
          ))}
        </fieldset>
        <label>
          <span>{t(kind.value === "user" ? "delegate.name" : "delegate.group_name")}</span>
          <input
            type="text"
            id="delegate-name"
            list="delegate-names"
            value={name.value}
            required
            aria-invalid={isMissing.value}
            aria-describedby="delegate-why"
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            onInput={(event) => {
              name.value = event.currentTarget.value;
              isMissing.value = false;
            }}
          />
          <datalist id="delegate-names">
            {listed.map((one) => (
              <option key={one} value={one} />
            ))}
          </datalist>
        </label>
        <fieldset>
          <legend>{t("delegate.how")}</legend>
          {MODES.map(([value, text, more]) => (
            <label key={value} class="choice">
              <input
                type="radio"
                name="delegate-mode"
                checked={mode.value === value}
                onChange={() => {
                  mode.value = value;
                }}
              />
              <span>
                {t(text)}
                <small>{t(more)}</small>
              </span>
            </label>
          ))}
        </fieldset>
        <label>
          <span>
            {t("delegate.comment")} {t("optional")}
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
        <div id="delegate-why" role="alert">
          {isMissing.value ? <p class="error-note">{t("delegate.need.name")}</p> : null}
          {error.value === null ? null : <Failure error={error.value} what={t("delegate.failed")} />}
        </div>
      </div>
      <footer class="dialog-foot">
        <button
          type="button"
          class="button is-main"
          data-command="delegate-confirm"
          aria-disabled={busy.value || !inbox.canDecide.value || unsteady.value}
          onClick={(event) => void send(event)}
        >
          {t(mode.value === "DELEGATION_MODE_ADD" ? "delegate.send.add" : "delegate.send")}
        </button>
        <button type="button" class="button" onClick={close}>
          {t("cancel")}
        </button>
      </footer>
    </Dialog>
  );
}
