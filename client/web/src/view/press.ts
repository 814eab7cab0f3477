// Which presses count: a key or a pointer must go down and up on one prompt at one revision.

/** What a press would act on. */
export interface Target {
  readonly promptId: string;
  readonly revision: number;
}

/** The part of a keyboard event that decides whether it is a plain key. */
interface KeyLike {
  readonly key: string;
  readonly repeat: boolean;
  readonly isComposing: boolean;
  readonly keyCode: number;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
}

/** Whether an event is one press of a plain key: no repetition, no input method, no modifier but Shift. */
export function isPlain(event: KeyLike): boolean {
  if (event.repeat || event.isComposing || event.keyCode === 229) return false;
  return !event.ctrlKey && !event.metaKey && !event.altKey;
}

/** Whether an event sends a text: Ctrl or Cmd with Enter. */
export function isSend(event: KeyLike & { readonly shiftKey: boolean }): boolean {
  if (event.repeat || event.isComposing || event.keyCode === 229) return false;
  return event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
}

const TEXT_TYPES = new Set(["text", "search", "email", "url", "tel", "password", "number", "date", "time"]);

/** The part of an element that decides whether it takes text. */
interface ElementLike {
  readonly tagName: string;
  readonly type?: string;
  readonly isContentEditable?: boolean;
}

/** Whether an element takes text, so that letters belong to it. A checkbox takes none. */
export function takesText(element: ElementLike | null): boolean {
  if (element === null) return false;
  if (element.isContentEditable === true) return true;
  const tag = element.tagName.toUpperCase();
  if (tag === "TEXTAREA" || tag === "SELECT") return true;
  return (
    tag === "INPUT" &&
    (TEXT_TYPES.has(element.type ?? "text") || element.type?.startsWith("datetime") === true)
  );
}

/** Remembers where and when presses went down, and says whether they came up at the same place. */
export class Presses {
  readonly #down = new Map<string, Target & { readonly stamp: number }>();

  /** A key or pointer went down while `target` was on the screen; null: nothing that can be decided was. */
  down(name: string, target: Target | null, stamp: number): void {
    if (target === null) this.#down.delete(name);
    else this.#down.set(name, { ...target, stamp });
  }

  /** A key or pointer came up: when it went down, if that was on the same prompt at the same revision; else null. */
  up(name: string, target: Target | null): number | null {
    const began = this.#down.get(name);
    this.#down.delete(name);
    if (began === undefined || target === null) return null;
    return began.promptId === target.promptId && began.revision === target.revision ? began.stamp : null;
  }

  /** Forget all presses, because the window lost the focus. */
  clear(): void {
    this.#down.clear();
  }
}
