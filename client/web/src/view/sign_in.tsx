// Signing in: with a token, or with a name where the service runs on this machine without authentication.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../words";
import { CallError } from "../model/call_error";
import { type Session, signIn } from "../model/session";
import { fetchHere } from "../model/start";
import { errorText } from "./errors";

interface SignInProps {
  readonly session: Session;
  readonly onDone: (session: Session) => void;
}

/**
 * The form. It stands alone before the first sign-in, and in a window above the page after an expiry; then it has the name
 * and the groups of that session.
 */
export function SignInForm({ session, onDone }: SignInProps) {
  const ways = session.signIn ?? ["token"];
  const byName = ways.includes("name");
  const error = useSignal("");
  const isBusy = useSignal(false);
  const first = useRef<HTMLInputElement>(null);
  useEffect(() => {
    first.current?.focus();
    first.current?.select();
  }, []);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (isBusy.peek() || !(event.currentTarget instanceof HTMLFormElement)) return;
    const data = new FormData(event.currentTarget);
    const text = (name: string) => String(data.get(name) ?? "").trim();
    const groups = text("askback-groups")
      .split(/[\s,]+/)
      .filter((group) => group !== "");
    const credential = text(byName ? "askback-name" : "askback-token");
    const body = byName ? { name: credential, groups } : { token: credential };
    if (credential === "") {
      error.value = byName ? t("sign_in.no_name") : t("sign_in.no_token");
      first.current?.focus();
      return;
    }
    isBusy.value = true;
    error.value = "";
    try {
      onDone(await signIn(fetchHere, body));
    } catch (problem) {
      error.value = problem instanceof CallError ? problem.message : errorText(problem);
      first.current?.focus();
    }
    isBusy.value = false;
  };
  const problem = error.value === "" ? undefined : "sign-in-error";
  return (
    <form class="sign-in" noValidate onSubmit={submit}>
      {byName ? (
        <>
          <label>
            <span>{t("sign_in.name")}</span>
            <input
              ref={first}
              type="text"
              name="askback-name"
              defaultValue={session.subject ?? ""}
              autocomplete="off"
              spellcheck={false}
              aria-invalid={problem !== undefined}
              aria-describedby={problem}
            />
          </label>
          <label>
            <span>
              {t("sign_in.groups")} <small>{t("optional")}</small>
            </span>
            <input
              type="text"
              name="askback-groups"
              defaultValue={(session.groups ?? []).join(", ")}
              autocomplete="off"
              spellcheck={false}
              aria-describedby="sign-in-groups"
            />
          </label>
          <p class="hint" id="sign-in-groups">
            {t("sign_in.groups.more")}
          </p>
          <p class="hint">{t("sign_in.name.more")}</p>
        </>
      ) : (
        <>
          <label>
            <span>{t("sign_in.token")}</span>
            <input
              ref={first}
              type="password"
              name="askback-token"
              autocomplete="off"
              spellcheck={false}
              aria-invalid={problem !== undefined}
              aria-describedby={problem}
            />
          </label>
          <p class="hint">{t("sign_in.token.more")}</p>
        </>
      )}
      {problem === undefined ? null : (
        <p class="error-note" id={problem} role="alert">
          {error.value}
        </p>
      )}
      <button type="submit" class="button is-main" aria-disabled={isBusy.value}>
        {isBusy.value ? t("sign_in.busy") : t("sign_in")}
      </button>
    </form>
  );
}

export function SignInView({ session, onDone }: SignInProps) {
  return (
    <main class="sign-in-view" data-focus-home>
      <h1 tabIndex={-1}>{t("sign_in.title")}</h1>
      <p>{t("sign_in.why")}</p>
      <SignInForm session={session} onDone={onDone} />
    </main>
  );
}
