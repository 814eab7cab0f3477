// Cancel a job that runs, run one again that has ended: each asks before it acts.

import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { newId } from "../../wire/browser";
import type { Job, RetryKeep } from "../../wire/messages";
import { t } from "../../words/later";
import { ErrorNote } from "../errors";
import { hasEnded } from "../job_facts";
import { typeWords } from "../labels";
import { usePage } from "../page";
import { go } from "../route";
import { Dialog } from "../ui";

interface ActionProps {
  readonly job: Job;
  readonly onChanged: () => void;
}

export function JobActions({ job, onChanged }: ActionProps) {
  const isAsking = useSignal(false);
  const ended = hasEnded(job);
  const close = () => {
    isAsking.value = false;
  };
  // A job without a worker has its question only: it is asked again by asking it.
  if (ended ? job.workerless === true : job.cancelRequestTime !== undefined) return null;
  const Asking = ended ? Retry : Cancel;
  return (
    <p>
      <button
        type="button"
        class="button"
        onClick={() => {
          isAsking.value = true;
        }}
      >
        {t(ended ? "job.retry" : "job.cancel")}
      </button>
      {isAsking.value ? <Asking job={job} onChanged={onChanged} onClose={close} /> : null}
    </p>
  );
}

interface AskingProps extends ActionProps {
  readonly onClose: () => void;
}

function titleOf(key: "job.cancel.title" | "job.retry.title", job: Job): string {
  return t(key, { type: typeWords(job.jobType) });
}

function Cancel({ job, onChanged, onClose }: AskingProps) {
  const { inbox } = usePage();
  const reason = useSignal("");
  const { isBusy, error, run } = useCall(async () => {
    await inbox.call("JobService/CancelJob", { jobId: job.jobId ?? "", reason: reason.peek().trim() });
    onChanged();
    onClose();
  });
  return (
    <Dialog title={titleOf("job.cancel.title", job)} onClose={onClose}>
      <div class="dialog-body">
        <p>{t("job.cancel.text")}</p>
        <label>
          <span>
            {t("job.cancel.reason")} {t("optional")}
          </span>
          <textarea
            rows={2}
            value={reason.value}
            onInput={(event) => {
              reason.value = event.currentTarget.value;
            }}
          />
        </label>
        {error === null ? null : <ErrorNote error={error} />}
      </div>
      <footer class="dialog-foot">
        <button type="button" class="button" onClick={onClose}>
          {t("job.cancel.not")}
        </button>
        <button type="button" class="button is-main" aria-disabled={isBusy} onClick={run}>
          {t("job.cancel.confirm")}
        </button>
      </footer>
    </Dialog>
  );
}

const KEEPS = [
  ["RETRY_KEEP_ALL", "job.retry.all", "job.retry.all.more"],
  ["RETRY_KEEP_NOTHING", "job.retry.nothing", "job.retry.nothing.more"],
] as const;

function Retry({ job, onClose }: AskingProps) {
  const { inbox } = usePage();
  // As the service does it where nothing is said: repeating what was finished or stopped is a new decision.
  const keep = useSignal<RetryKeep>(
    job.state === "JOB_STATE_FAILED" ? "RETRY_KEEP_ALL" : "RETRY_KEEP_NOTHING",
  );
  // One id for each choice, so that a second press after a lost reply makes no second job.
  const requestId = useMemo(newId, [keep.value]);
  const { isBusy, error, run } = useCall(async () => {
    const request = { jobId: job.jobId ?? "", requestId, keep: keep.peek() };
    const reply = await inbox.call("JobService/RetryJob", request);
    onClose();
    go({ view: "job", jobId: reply.job?.jobId ?? "" });
  });
  return (
    <Dialog title={titleOf("job.retry.title", job)} onClose={onClose}>
      <div class="dialog-body">
        <p>{t("job.retry.text")}</p>
        <fieldset>
          <legend>{t("job.retry.keep")}</legend>
          {KEEPS.map(([value, name, more]) => (
            <label key={value} class="choice">
              <input
                type="radio"
                name="keep"
                checked={keep.value === value}
                onChange={() => {
                  keep.value = value;
                }}
              />
              <span>
                {t(name)}
                <small>{t(more)}</small>
              </span>
            </label>
          ))}
        </fieldset>
        {error === null ? null : <ErrorNote error={error} />}
      </div>
      <footer class="dialog-foot">
        <button type="button" class="button" onClick={onClose}>
          {t("cancel")}
        </button>
        <button type="button" class="button is-main" aria-disabled={isBusy} onClick={run}>
          {t("job.retry.confirm")}
        </button>
      </footer>
    </Dialog>
  );
}

/** A call that a button makes: never twice at once, and its error stays beside the button. */
function useCall(act: () => Promise<void>) {
  const isBusy = useSignal(false);
  const error = useSignal<unknown>(null);
  const run = () => {
    if (isBusy.peek()) return;
    isBusy.value = true;
    error.value = null;
    act()
      .catch((problem: unknown) => {
        error.value = problem;
      })
      .finally(() => {
        isBusy.value = false;
      });
  };
  return { isBusy: isBusy.value, error: error.value, run };
}
