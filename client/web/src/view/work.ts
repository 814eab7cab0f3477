// What a person has typed for a prompt: the form, the comment, the edited texts. It hangs on the prompt's id and
// revision, not on a view, so it survives every change of the screen.

import { batch, type Signal, signal } from "@preact/signals";
import { type Form, makeForm } from "../forms";
import type { Draft } from "../model/drafts";
import type { Submission } from "../model/inbox";
import type { Decision, FieldViolation, Prompt } from "../wire/messages";
import { formWords } from "../words";
import type { Question } from "./decision_rules";
import { idOf, revisionOf, showsSame } from "./prompt_facts";
import type { Works } from "./works";

/** A decision that was pressed and waits for a comment, values, or a second press. */
export interface Pending {
  readonly decision: Decision;
  /** What a second press says yes to, and since when it can be read. */
  readonly asked?: { readonly question: Question; readonly at: number };
  readonly confirmed: ReadonlySet<Question>;
}

export class Work {
  readonly promptId: string;
  /** The prompt as it was painted: its content and revision are what an answer is about. */
  readonly shown: Signal<Prompt>;
  /** The content before the amendment that the person accepted to review; null: none. */
  readonly before = signal<Prompt | null>(null);
  readonly form: Signal<Form>;
  readonly comment = signal("");
  readonly edits = signal<Readonly<Record<string, string>>>({});
  /** Editable texts are open for editing. */
  readonly isEditing = signal(false);
  readonly pending = signal<Pending | null>(null);
  /** A text was to be sent, and no decision was chosen. */
  readonly mustChoose = signal(false);
  readonly violations = signal<readonly FieldViolation[]>([]);
  /** Text for another revision, which the person may take over. */
  readonly offered = signal<Draft | null>(null);
  /** When the text that was filled in had been saved, by this machine's clock; 0: nothing was. */
  readonly restoredFrom = signal(0);
  /** Rises with each input of the form. */
  readonly touched = signal(0);
  /** Rises when the form's fields must be built again, because their values were set from outside. */
  readonly formVersion = signal(0);

  readonly #works: Works;
  /** The last answer that the service took. */
  #taken: Submission | null = null;
  /** What was typed when it did; null: it is not what the service has. */
  #takenText: string | null = null;

  constructor(prompt: Prompt, works: Works) {
    this.promptId = idOf(prompt);
    this.#works = works;
    this.shown = signal(prompt);
    this.form = signal(this.#makeForm(prompt));
    void this.#loadDraft();
  }

  /** Whether values of the form differ from what the asker proposed. */
  get hasChangedValues(): boolean {
    return this.form.peek().isTouched;
  }

  /** Whether a text was edited. */
  get isEdited(): boolean {
    const parts = this.shown.peek().content?.contents ?? [];
    const edits = this.edits.peek();
    return parts.some((part) => {
      const text = edits[part.contentId ?? ""];
      return text !== undefined && text !== (part.text ?? "");
    });
  }

  /** Whether the person typed anything that the service has not taken. */
  get hasText(): boolean {
    const isTyped = this.comment.peek().trim() !== "" || this.isEdited || this.hasChangedValues;
    return isTyped && this.text !== this.#takenText;
  }

  /** Everything that was typed, as text for the clipboard. */
  get text(): string {
    const parts: string[] = [];
    if (this.hasChangedValues) parts.push(this.form.peek().asText());
    if (this.isEdited) parts.push(...Object.values(this.edits.peek()));
    if (this.comment.peek().trim() !== "") parts.push(this.comment.peek());
    return parts.join("\n\n");
  }

  setComment(text: string): void {
    this.comment.value = text;
    this.#changed();
  }

  setEdit(contentId: string, text: string): void {
    this.edits.value = { ...this.edits.peek(), [contentId]: text };
    this.#changed();
  }

  /** Call it after each input of the form. */
  readonly formChanged = (): void => {
    this.touched.value += 1;
    this.#changed();
  };

  #changed(): void {
    // The chosen decision stays; what was asked about the old text is asked again.
    const pending = this.pending.peek();
    if (pending !== null) this.pending.value = { decision: pending.decision, confirmed: new Set() };
    if (this.hasText) this.#works.drafts.save(this.promptId, this.draft());
    else void this.#works.drafts.discard(this.promptId);
  }

  /** What was typed, as a draft of the painted revision. */
  draft(): Draft {
    const prompt = this.shown.peek();
    return {
      values: this.form.peek().inputs(),
      comment: this.comment.peek(),
      edits: this.edits.peek(),
      revision: revisionOf(prompt),
      version: prompt.version ?? "0",
    };
  }

  /** An empty form; of a question that is asked again with what was wrong with the answer before. */
  #makeForm(prompt: Prompt): Form {
    const content = prompt.content ?? {};
    const words = formWords();
    // What such a question suggests is the answer before.
    const again = content.correction === undefined ? words : { ...words, byDefault: words.asBefore };
    const form = makeForm(content, { words: again });
    this.violations.value = content.correction?.violations ?? [];
    form.setViolations(this.violations.peek());
    return form;
  }

  async #loadDraft(): Promise<void> {
    const found = await this.#works.drafts.load(this.promptId).catch(() => null);
    if (found === null || this.hasText) return;
    if (found.revision === revisionOf(this.shown.peek())) {
      this.#fill(found);
      this.restoredFrom.value = found.savedAt ?? Date.now();
    } else {
      this.offered.value = found;
    }
  }

  #fill(draft: Draft): void {
    batch(() => {
      const form = this.form.peek();
      form.restore(draft.values);
      this.comment.value = draft.comment;
      this.edits.value = draft.edits;
      this.isEditing.value = this.isEdited;
      this.touched.value += 1;
      this.formVersion.value += 1;
    });
  }

  /** Take over the text that was written for another revision. */
  takeOffered(): void {
    const draft = this.offered.peek();
    if (draft === null) return;
    this.offered.value = null;
    this.#fill(draft);
    this.#changed();
  }

  /** Throw away what was offered or restored, because the person says so. */
  discard(): void {
    batch(() => {
      this.offered.value = null;
      this.restoredFrom.value = 0;
      this.#reset(this.shown.peek());
    });
    void this.#works.drafts.discard(this.promptId);
  }

  #reset(prompt: Prompt): void {
    this.#takenText = null;
    this.form.value = this.#makeForm(prompt);
    this.comment.value = "";
    this.edits.value = {};
    this.isEditing.value = false;
    this.pending.value = null;
    this.touched.value += 1;
    this.formVersion.value += 1;
  }

  /** Show a newer revision: what was typed for the old one is offered, not filled in. */
  review(prompt: Prompt): void {
    const before = this.shown.peek();
    const draft = this.hasText ? this.draft() : this.offered.peek();
    batch(() => {
      this.before.value = before;
      this.shown.value = prompt;
      this.#reset(prompt);
      this.restoredFrom.value = 0;
      this.offered.value = draft;
    });
  }

  /** The header of the painted revision changed: a claim, a deadline, a reminder. The form is not touched. */
  refresh(prompt: Prompt): void {
    if (showsSame(prompt, this.shown.peek())) this.shown.value = prompt;
  }

  /**
   * The service took the answer: the draft has served its purpose. Values and edits stay, because a vote can be changed;
   * a comment does not go with another answer.
   */
  finish(taken: Submission): void {
    if (this.#taken === taken) return;
    this.#taken = taken;
    batch(() => {
      this.pending.value = null;
      this.restoredFrom.value = 0;
      this.comment.value = "";
    });
    this.#takenText = this.text;
    void this.#works.drafts.remove(this.promptId);
  }

  /** The person withdrew the vote: what is typed was not sent. */
  withdraw(): void {
    this.#takenText = null;
    this.#changed();
  }
}

/** The work on a prompt; a new one shows the prompt as it is now. */
export function workOf(works: Works, prompt: Prompt): Work {
  const found = works.get(idOf(prompt));
  if (found !== undefined) return found;
  const made = new Work(prompt, works);
  works.add(made);
  return made;
}
