// Errors in words: what happened and what to do next, by the reason that the service gives.

import { CallError } from "../model/call_error";
import { isKey, type Key, t } from "../words";

/** What an error means for the person, in one or two sentences. */
export function errorText(error: unknown): string {
  if (!(error instanceof CallError)) return t("error.unknown");
  const byReason = keyOf(error);
  if (byReason !== null) {
    return t(byReason, { name: error.metadata.claimed_by ?? t("someone"), message: error.message });
  }
  const byCode = `error.code.${error.code}`;
  return isKey(byCode) ? t(byCode, { message: error.message }) : error.message || t("error.unknown");
}

/** The key of the page's words for an error's reason. Without one, its code and request id are shown to be copied. */
function keyOf(error: CallError): Key | null {
  const key = `error.${error.reason.replace("ERROR_REASON_", "").toLowerCase()}`;
  return isKey(key) ? key : null;
}

/** An error where it belongs: beside what failed. */
export function ErrorNote({ error }: { readonly error: unknown }) {
  const details = error instanceof CallError && keyOf(error) === null ? detailsOf(error) : "";
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
