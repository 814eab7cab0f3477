// Taking back a prompt that was given away in this page: in a toast right after it, and where the prompt stood.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { rich, t } from "../words/later";
import { giveBack, targetText } from "./delegation_calls";
import { errorText } from "./errors";
import { announce, interrupt } from "./live";
import { dialog, type GivenAway, toast } from "./page";
import { Icon, Name } from "./ui";

/** How long the toast stays while neither the pointer nor the focus is on it, in milliseconds. */
const STAY_MS = 30_000;

interface GivenProps {
  readonly given: GivenAway;
}

/** "You delegated it to ben." */
export function GivenText({ given }: GivenProps) {
  return <>{rich("delegate.done", { target: <Name text={targetText(given)} /> })}</>;
}

export function Undo({ given }: GivenProps) {
  const { inbox } = given.page;
  const busy = useSignal(false);
  const problem = useSignal("");
  const canAct = inbox.canDecide.value && !busy.value;
  const undo = async () => {
    if (!canAct) return;
    busy.value = true;
    problem.value = "";
    try {
      await giveBack(inbox, given.promptId, given.user, given.group);
      announce(t("delegations.take.done"));
      document.getElementById("prompt-title")?.focus({ preventScroll: true });
    } catch (error) {
      problem.value = errorText(error);
      interrupt(problem.value);
    }
    busy.value = false;
  };
  return (
    <>
      <button
        type="button"
        class="button is-small"
        data-command="undo"
        aria-disabled={!canAct}
        onClick={() => void undo()}
      >
        {t("delegate.undo")}
      </button>
      {problem.value === "" ? null : <span class="error-note">{problem.value}</span>}
    </>
  );
}

/** What the person gave away last, for half a minute. */
export function Toast({ given }: GivenProps) {
  const box = useRef<HTMLElement>(null);
  const close = () => {
    if (toast.peek() === given) toast.value = null;
  };
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    const wait = () => {
      timer = setTimeout(() => {
        const isUsed = box.current?.matches(":hover, :focus-within") === true || dialog.peek() !== null;
        if (isUsed) wait();
        else close();
      }, STAY_MS);
    };
    wait();
    return () => clearTimeout(timer);
  }, [given]);
  if (given.page.inbox.link.value === "signed_out") return null;
  return (
    <section class="toast" ref={box} aria-label={t("delegate.toast")}>
      <p>
        <strong>
          <Name text={given.title} />
        </strong>{" "}
        <GivenText given={given} />
      </p>
      <Undo given={given} />
      <button type="button" class="quiet-button" onClick={close} aria-label={t("close")}>
        <Icon name="cross" />
      </button>
    </section>
  );
}
