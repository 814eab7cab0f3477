import { milliseconds } from "../wire/durations";
import type { FieldViolation, FrameError } from "../wire/messages";

/** The canonical gRPC codes as Connect writes them, in the order of their numbers from 1 on. */
const CODES = [
  "canceled",
  "unknown",
  "invalid_argument",
  "deadline_exceeded",
  "not_found",
  "already_exists",
  "permission_denied",
  "resource_exhausted",
  "failed_precondition",
  "aborted",
  "out_of_range",
  "unimplemented",
  "internal",
  "unavailable",
  "data_loss",
  "unauthenticated",
] as const;

export type Code = (typeof CODES)[number];

interface CallErrorFields {
  readonly code: Code;
  /** The name of an ErrorReason, for example "ERROR_REASON_PROMPT_CLOSED". Empty: the transport failed. */
  readonly reason?: string;
  readonly message: string;
  readonly metadata?: { readonly [key: string]: string };
  readonly violations?: readonly FieldViolation[];
  /** What the server's log calls the request. Empty: unknown. */
  readonly requestId?: string;
  /** Sending it again unchanged helps after this time. Unset: it does not help. */
  readonly retryAfterMs?: number;
}

/** A refused or failed call, whether it went over the socket or by POST. */
export class CallError extends Error {
  readonly code: Code;
  readonly reason: string;
  readonly metadata: { readonly [key: string]: string };
  readonly violations: readonly FieldViolation[];
  readonly requestId: string;
  readonly retryAfterMs: number | undefined;

  constructor(fields: CallErrorFields) {
    super(fields.message);
    this.name = "CallError";
    this.code = fields.code;
    this.reason = fields.reason ?? "";
    this.metadata = fields.metadata ?? {};
    this.violations = fields.violations ?? [];
    this.requestId = fields.requestId ?? "";
    this.retryAfterMs = fields.retryAfterMs;
  }
}

/** The number of a code in a frame. */
export function codeNumber(code: Code): number {
  return CODES.indexOf(code) + 1;
}

/** The error that a frame on the socket tells. */
export function frameError(error: FrameError): CallError {
  return new CallError({
    code: CODES[(error.code ?? 0) - 1] ?? "unknown",
    reason: error.reason ?? "",
    message: error.message ?? "",
    metadata: error.metadata ?? {},
    violations: error.violations ?? [],
    requestId: error.metadata?.error_id ?? "",
    ...(error.retryDelay ? { retryAfterMs: milliseconds(error.retryDelay, 0) } : {}),
  });
}
