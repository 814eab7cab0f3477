// A call about a rule that failed: each problem at the field of the rule to which it belongs.

import { CallError } from "../../model/call_error";
import { Failure } from "../failure";
import { Name } from "../ui";

interface RuleFailureProps {
  readonly error: unknown;
  /** What did not happen. */
  readonly what: string;
}

/** Whether the namespace has as many rules as it may have: waiting does not help, as it does with other limits. */
function isFull(error: unknown): error is CallError {
  return error instanceof CallError && error.metadata.limit === "rules_per_namespace";
}

export function RuleFailure({ error, what }: RuleFailureProps) {
  if (isFull(error))
    return (
      <div class="error-note">
        <p>{what}</p>
        <p>
          <Name text={error.message} />
        </p>
      </div>
    );
  if (!(error instanceof CallError) || error.violations.length === 0)
    return <Failure error={error} what={what} />;
  return (
    <div class="error-note">
      <p>{what}</p>
      <ul>
        {error.violations.map(({ field = "", description = "" }) => (
          <li key={`${field} ${description}`}>
            <code>
              <Name text={field.replace(/^spec\./, "")} />
            </code>{" "}
            <Name text={description} />
          </li>
        ))}
      </ul>
    </div>
  );
}
