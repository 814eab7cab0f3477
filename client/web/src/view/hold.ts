/** A lock that the tabs of a browser share, held for as long as this tab wants it. */
export class Hold {
  /** True: this tab has it. Without Web Locks (plain http on another host than loopback) every tab has it. */
  has = false;
  readonly #name: string;
  readonly #mode: LockMode;
  readonly #granted: () => void;
  #waiting: AbortController | null = null;
  #release = () => {};

  constructor(name: string, mode: LockMode, granted: () => void) {
    this.#name = name;
    this.#mode = mode;
    this.#granted = granted;
  }

  set wanted(wanted: boolean) {
    if (wanted === (this.#waiting !== null)) return;
    if (wanted) this.#ask();
    else {
      this.has = false;
      this.#waiting?.abort();
      this.#waiting = null;
      this.#release();
    }
  }

  #ask(): void {
    const waiting = new AbortController();
    this.#waiting = waiting;
    const { locks } = navigator as { readonly locks?: LockManager };
    if (locks === undefined) {
      this.has = true;
      return;
    }
    const hold = () => {
      if (waiting.signal.aborted) return undefined;
      this.has = true;
      this.#granted();
      return new Promise<void>((release) => {
        this.#release = release;
      });
    };
    // A wait that was ended rejects.
    locks.request(this.#name, { mode: this.#mode, signal: waiting.signal }, hold).catch(() => {});
  }
}

/** Whether a tab has this lock. */
export async function isHeld(name: string): Promise<boolean> {
  const { locks } = navigator as { readonly locks?: LockManager };
  const { held = [] } = (await locks?.query()) ?? {};
  return held.some((lock) => lock.name === name);
}
