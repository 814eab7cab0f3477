import type { CallError } from "./call_error";

/** Codes after which the same answer is sent again: it was not judged, or whether it was is not known. */
const TRANSIENT = new Set(["unavailable", "resource_exhausted", "deadline_exceeded", "canceled", "unknown"]);

/** What to do with an answer that got no verdict. */
export function fateOf(error: CallError): "resend" | "sign_in" | "refused" {
  if (error.code === "unauthenticated") {
    return "sign_in";
  }
  // CONTENTION has the code of PROMPT_STALE, but that is a verdict.
  return TRANSIENT.has(error.code) || error.reason === "ERROR_REASON_CONTENTION" ? "resend" : "refused";
}
