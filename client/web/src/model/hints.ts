/**
 * What tabs tell each other. Nothing depends on a hint: it may be lost, or come late, or come twice.
 */
export type Hint =
  /** "seen": the person looks at this tab, so nothing there is news any more. */
  | { readonly kind: "signed_in" | "new_page" | "seen" }
  /** The person has signed out in this tab, and with that deleted what they typed in every tab. */
  | { readonly kind: "signed_out"; readonly subject: string };

export interface Hints {
  send(hint: Hint): void;
  /** Calls the function with each hint of another tab. Returns a function that ends it. */
  listen(take: (hint: Hint) => void): () => void;
  close(): void;
}

const NAME = "askback";

/** Hints over a BroadcastChannel. */
export function openHints(): Hints {
  const channel = new BroadcastChannel(NAME);
  let isOpen = true;
  return {
    // The gateway's reply about the session may come after the page has closed.
    send: (hint) => {
      if (isOpen) channel.postMessage(hint);
    },
    listen: (take) => {
      const listener = (event: MessageEvent<Hint>) => take(event.data);
      channel.addEventListener("message", listener);
      return () => channel.removeEventListener("message", listener);
    },
    close: () => {
      isOpen = false;
      channel.close();
    },
  };
}

/** Send a hint from a page that has no channel open, or is about to be left. */
export function tellTabs(hint: Hint): void {
  const hints = openHints();
  hints.send(hint);
  hints.close();
}
