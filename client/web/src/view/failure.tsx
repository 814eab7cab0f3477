// A call that failed, in a window: what did not happen, and why, as the service says it.

import { CallError } from "../model/call_error";
import { ErrorNote } from "./errors";
import { Name } from "./ui";

interface FailureProps {
  readonly error: unknown;
  /** What did not happen. */
  readonly what: string;
}

/** Whether the service says why in words for people: the page knows less about rules and wrong fields. */
function isToldByService(error: unknown): error is CallError {
  if (!(error instanceof CallError)) return false;
  return error.code === "permission_denied" || error.code === "invalid_argument";
}

export function Failure({ error, what }: FailureProps) {
  if (!isToldByService(error))
    return (
      <div class="error-note">
        <p>{what}</p>
        <ErrorNote error={error} />
      </div>
    );
  const texts = error.violations.map((one) => one.description ?? "");
  return (
    <div class="error-note">
      <p>{what}</p>
      {(texts.length === 0 ? [error.message] : texts).map((text) => (
        <p key={text}>
          <Name text={text} />
        </p>
      ))}
    </div>
  );
}
