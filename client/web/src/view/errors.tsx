// Errors in words: what happened and what to do next, by the reason that the service gives.

import { CallError } from "../model/call_error";
import { isKey, t } from "../words";

/** What an error means for the person, in one or two sentences. */
export function errorText(error: unknown): string {
  if (!(error instanceof CallError)) return t("error.unknown");
  const byReason = `error.${error.reason.replace("ERROR_REASON_", "").toLowerCase()}`;
  if (isKey(byReason)) {
    return t(byReason, { name: error.metadata.claimed_by ?? t("someone"), message: error.message });
  }
  const byCode = `error.code.${error.code}`;
  return isKey(byCode) ? t(byCode, { message: error.message }) : error.message || t("error.unknown");
}

/** Whether the page has words of its own for an error. If not, its code and request id are shown to be copied. */
function isKnown(error: CallError): boolean {
  return isKey(`error.${error.reason.replace("ERROR_REASON_", "").toLowerCase()}`);
}

/** An error where it belongs: beside what failed. */
export function ErrorNote({ error }: { readonly error: unknown }) {
  const details = error instanceof CallError && !isKnown(error) ? detailsOf(error) : "";
  return (
    <div class="error-note">
      <p>{errorText(error)}</p>
      {details === "" ? null : (
        <p class="error-details">
          <code>{details}</code>{" "}
          <button type="button" class="link-button" onClick={() => void copyText(details)}>
            {t("copy")}
          </button>
        </p>
      )}
    </div>
  );
}

function detailsOf(error: CallError): string {
  const parts = [
    error.code,
    error.reason,
    error.message,
    error.requestId === "" ? "" : `request ${error.requestId}`,
  ];
  return parts.filter((part) => part !== "").join(" · ");
}

/** Put a text on the clipboard. False: the browser refused. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
