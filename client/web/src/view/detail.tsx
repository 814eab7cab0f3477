// One prompt: who asks what, until when, and the answer.

import { effect, useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { Markdown, Plain, useSeen } from "../content";
import { FormView, revealProblems } from "../forms";
import type { Row, Submission } from "../model/inbox";
import type { Answer } from "../wire/messages";
import { t } from "../words/later";
import { Amended, Offered } from "./amended";
import { AnswerBar } from "./answer_bar";
import { AnswerValues } from "./answer_values";
import { excludes, painted, setFocusTargets, unseenLines } from "./deciding";
import { DetailHeader } from "./detail_header";
import { followChanges, showNextChange } from "./diff_changes";
import { ErrorNote, errorText } from "./errors";
import { JobPanel } from "./job_panel";
import { hintsOf } from "./key_choices";
import { acceptedText } from "./labels";
import { rowById } from "./list_state";
import { announce, interrupt } from "./live";
import { changes, subjectOf, usePage } from "./page";
import { Parts } from "./parts";
import { hasForm, idOf, isOpen, resolutionOf, revisionOf } from "./prompt_facts";
import { Rounds } from "./rounds";
import { formatRoute, go, isPlainClick, route } from "./route";
import { disturb } from "./steady";
import { Icon } from "./ui";
import { votedText } from "./vote_facts";
import { Votes } from "./votes";
import { type Work, workOf } from "./work";

/** The detail pane: the prompt of the address, or what to do first. */
export function Detail() {
  const { place } = route.value;
  if (place.view !== "prompt") {
    return (
      <section class="detail is-blank" aria-label={t("detail.title")}>
        <p>{t("detail.none")}</p>
        <KeysOfTheList />
      </section>
    );
  }
  return <Loaded key={place.promptId} promptId={place.promptId} />;
}

function KeysOfTheList() {
  const [next] = hintsOf("key.next");
  const [previous] = hintsOf("key.previous");
  const [help] = hintsOf("key.help");
  if (next === undefined || previous === undefined || help === undefined) return null;
  return <p class="hint">{t("detail.none.keys", { next, previous, help })}</p>;
}

/** Finds the prompt: in the inbox, or by asking the service. */
function Loaded({ promptId }: { readonly promptId: string }) {
  const { inbox } = usePage();
  const loaded = useSignal<Row | null>(null);
  const error = useSignal<unknown>(null);
  const row = inbox.rows.value.get(promptId) ?? loaded.value ?? rowById(promptId) ?? null;
  const link = inbox.link.value;
  // A prompt that the view does not have, such as that of a link, gets no news: an answer to it is one.
  const sent = inbox.submission(promptId).value?.state;
  const verdict = sent === "unconfirmed" ? "sending" : sent;
  useEffect(() => {
    if (inbox.rows.peek().has(promptId) || (link !== "live" && link !== "offline")) return;
    error.value = null;
    inbox.load(promptId).then(
      (found) => {
        loaded.value = found;
      },
      (problem: unknown) => {
        error.value = problem;
      },
    );
  }, [promptId, inbox, link, verdict, changes.value]);
  if (row === null) {
    return (
      <section class="detail is-blank" aria-label={t("detail.title")} data-focus-home>
        <Back />
        <h1 class="detail-title" tabIndex={-1}>
          {error.value === null ? t("detail.loading") : t("detail.missing")}
        </h1>
        {error.value === null ? null : <ErrorNote error={error.value} />}
      </section>
    );
  }
  return <PromptPane row={row} />;
}

/** What became of the answer is spoken: success when the reader pauses, a failure at once. */
function tellVerdict(sent: Submission, subject: string): void {
  if (sent.state === "accepted") announce(acceptedText(sent.prompt));
  if (sent.state === "recorded") announce(votedText(sent.prompt, subject) || t("verdict.recorded"));
  if (sent.state === "closed") interrupt(t("verdict.late"));
  if (sent.state === "stale") interrupt(t("verdict.stale"));
  if (sent.state === "invalid") interrupt(t("verdict.invalid"));
  if (sent.state === "refused") interrupt(errorText(sent.error));
}

function focusTitle(): void {
  document.getElementById("prompt-title")?.focus({ preventScroll: true });
}

function Back() {
  const { query } = route.value;
  return (
    <a
      class="back"
      href={formatRoute({ view: "queue" }, query)}
      onClick={(event) => {
        if (!isPlainClick(event)) return;
        event.preventDefault();
        go({ view: "queue" });
      }}
    >
      <Icon name="back" />
      {t("detail.back")}
    </a>
  );
}

function PromptPane({ row }: { readonly row: Row }) {
  const page = usePage();
  const { inbox } = page;
  const work = workOf(page.works, row.prompt);
  const open = isOpen(row);
  useLayoutEffect(() => {
    work.refresh(row.prompt);
  }, [work, row.prompt]);
  const sent = inbox.submission(work.promptId);
  useEffect(
    () =>
      effect(() => {
        const now = sent.value;
        if (now?.state === "invalid") work.violations.value = now.violations;
        else if (now !== null) work.violations.value = [];
        if (now?.state === "accepted" || now?.state === "recorded") work.finish(now);
        if (now !== null) tellVerdict(now, subjectOf(page));
      }),
    [work, sent],
  );
  const shown = work.shown.value;
  const id = idOf(shown);
  const revision = revisionOf(shown);

  // The revision of an answer is the one that was painted: it is taken in the frame after the content is there.
  useLayoutEffect(() => {
    painted.value = null;
    disturb();
    const frame = requestAnimationFrame(() => {
      painted.value = { promptId: id, revision };
      disturb();
    });
    return () => {
      cancelAnimationFrame(frame);
      painted.value = null;
    };
  }, [id, revision, open]);

  useEffect(() => {
    if (document.activeElement === document.body) focusTitle();
  }, []);

  const pane = useRef<HTMLElement>(null);
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    const inPane = (selector: string) => pane.current?.querySelector<HTMLElement>(selector);
    setFocusTargets({
      comment: () => inPane("#comment")?.focus(),
      problems: () => {
        revealProblems(work.form.peek());
      },
      edit: () => {
        requestAnimationFrame(() => inPane(".part-edit textarea")?.focus());
      },
      change: showNextChange,
    });
    return () => setFocusTargets(null);
  }, [work]);
  useEffect(() => (pane.current === null ? undefined : followChanges(pane.current)), []);

  return (
    <article
      class="detail"
      ref={pane}
      aria-labelledby="prompt-title"
      tabIndex={-1}
      data-prompt={id}
      data-focus-home
    >
      <div class="detail-scroll" id="detail-scroll">
        <Back />
        <h1 id="prompt-title" class="detail-title" tabIndex={-1} ref={title}>
          <Plain text={shown.content?.title ?? ""} />
        </h1>
        <DetailHeader row={row} />
        <Amended work={work} />
        <Content key={`${revision} ${shown.shownDigest}`} work={work} row={row} title={title} />
        {row.prompt.content?.approval === undefined ? null : <Votes row={row} work={work} />}
        <Rounds prompt={row.prompt} />
        <JobPanel prompt={row.prompt} />
      </div>
      <AnswerBar row={row} work={work} />
    </article>
  );
}

interface ContentProps {
  readonly work: Work;
  readonly row: Row;
  readonly title: RefObject<HTMLHeadingElement | null>;
}

/** What is decided on: the body, the parts, the form. It is drawn for one revision and never changes under the eyes. */
function Content({ work, row, title }: ContentProps) {
  const page = usePage();
  const box = useRef<HTMLDivElement>(null);
  const shown = work.shown.peek();
  const open = isOpen(row);
  // Who may not answer has nothing to fill in.
  const takesAnswer = open && !excludes(page, row);
  const answer = resolutionOf(row)?.answer;
  const key = `${idOf(shown)} ${revisionOf(shown)} ${shown.shownDigest}`;
  const seen = useSeen(box as RefObject<HTMLElement>, key);
  // A title may fill the screen of a phone.
  const seenTitle = useSeen(title as RefObject<HTMLElement>, key);
  const isComplete = seen.complete && seenTitle.complete;
  const hidden = seen.hiddenLines + seenTitle.hiddenLines;
  useEffect(() => {
    unseenLines.value = open && !isComplete ? Math.max(1, hidden) : 0;
  }, [open, isComplete, hidden]);
  const body = shown.content?.body ?? "";
  return (
    <div class="content" ref={box}>
      {body === "" ? null : (
        <div class="body">
          <Markdown text={body} />
        </div>
      )}
      <Parts work={work} isOpen={takesAnswer} answer={answer} />
      <Offered work={work} />
      {hasForm(shown) ? (
        <section class="form-box" aria-label={t("form.title")}>
          {takesAnswer ? (
            <OpenForm key={work.formVersion.value} work={work} />
          ) : (
            <ClosedForm work={work} answer={answer} />
          )}
        </section>
      ) : null}
    </div>
  );
}

function OpenForm({ work }: { readonly work: Work }) {
  return <FormView form={work.form.value} violations={work.violations.value} onChange={work.formChanged} />;
}

/** The values of the answer that counts; where there is none, what this person had typed. */
function ClosedForm({ work, answer }: { readonly work: Work; readonly answer: Answer | undefined }) {
  const values = answer?.valuesJson ?? "";
  return values === "" ? (
    <FormView form={work.form.peek()} readOnly />
  ) : (
    <AnswerValues content={work.shown.peek().content ?? {}} values={values} />
  );
}
