import { hintsOf } from "./key_choices";
import type { PageKey } from "./keys";
import { Key } from "./ui";

/** The first key of a command, on its button; nothing where it has none, or while single keys are off. */
export function KeyHint({ does }: { readonly does: PageKey["does"] | undefined }) {
  const [key] = hintsOf(does);
  return key === undefined ? null : <Key name={key === "Enter" ? "⏎" : key} />;
}
