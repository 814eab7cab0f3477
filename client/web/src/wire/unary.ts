import { CallError, type Code } from "../model/call_error";
import { milliseconds } from "./durations";
import type { AnswerPromptRequest, AnswerResult, FieldViolation, Methods } from "./messages";

export type Fetch = (path: string, init: RequestInit) => Promise<Response>;

/** With them no other page can make the browser send our cookie with an effect. */
export const POST_HEADERS = { "content-type": "application/json", "connect-protocol-version": "1" };

const REPLY_MS = 20_000;

/** Of a reply that is no error of the protocol, the HTTP status alone tells the code. */
const CODES: { readonly [status: number]: Code } = {
  400: "internal",
  401: "unauthenticated",
  403: "permission_denied",
  404: "unimplemented",
  413: "resource_exhausted",
  429: "unavailable",
  502: "unavailable",
  503: "unavailable",
  504: "unavailable",
};

interface Detail {
  readonly type?: string;
  readonly debug?: {
    readonly reason?: string;
    readonly metadata?: { readonly [key: string]: string };
    readonly fieldViolations?: readonly FieldViolation[];
    readonly retryDelay?: string;
  };
}

interface ErrorBody {
  readonly code?: Code;
  readonly message?: string;
  readonly details?: readonly Detail[];
}

function detail(body: ErrorBody, type: string): NonNullable<Detail["debug"]> {
  return body.details?.find((each) => each.type === type)?.debug ?? {};
}

function callError(response: Response, body: ErrorBody): CallError {
  const info = detail(body, "google.rpc.ErrorInfo");
  const delay = detail(body, "google.rpc.RetryInfo").retryDelay;
  const header =
    response.headers.get("askback-request-id") ?? response.headers.get("trailer-askback-request-id");
  return new CallError({
    code: body.code ?? CODES[response.status] ?? "unknown",
    reason: info.reason ?? "",
    message: body.message || `The gateway answered with status ${response.status}.`,
    metadata: info.metadata ?? {},
    violations: detail(body, "google.rpc.BadRequest").fieldViolations ?? [],
    requestId: header ?? info.metadata?.error_id ?? "",
    ...(delay ? { retryAfterMs: milliseconds(delay, 0) } : {}),
  });
}

/** The error that a refused request tells. */
export async function errorOf(response: Response): Promise<CallError> {
  return callError(response, await json<ErrorBody>(response));
}

/**
 * A request with a reply of its own. It is given up after 20 s: a connection that died in silence, as in a sleep, has
 * no end, and a browser keeps only six of them. Rejects with CallError.
 */
export async function exchange(fetch: Fetch, path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(REPLY_MS), ...init });
  } catch (error) {
    throw unreachable(error);
  }
}

function unreachable(error: unknown): CallError {
  return new CallError({ code: "unavailable", message: `The gateway cannot be reached (${error}).` });
}

function post(fetch: Fetch, path: string, body: string): Promise<Response> {
  return exchange(fetch, path, { method: "POST", headers: POST_HEADERS, body });
}

/** The body of a reply that is no error. A connection may break off in the middle of it: rejects with CallError. */
export async function bodyOf<T>(response: Response): Promise<T> {
  try {
    return (await response.json()) as T;
  } catch (error) {
    throw unreachable(error);
  }
}

/** The body of an error: what is no JSON says nothing, such as the page of a proxy. */
async function json<T>(response: Response): Promise<T> {
  try {
    return (await response.json()) as T;
  } catch {
    return {} as T;
  }
}

/** A unary call by POST, as ProtoJSON. Rejects with CallError. */
export async function call<M extends keyof Methods>(
  fetch: Fetch,
  method: M,
  request: Methods[M]["request"],
): Promise<Methods[M]["response"]> {
  const response = await post(fetch, `/askback.v1.${method}`, JSON.stringify(request));
  if (!response.ok) {
    throw await errorOf(response);
  }
  return bodyOf<Methods[M]["response"]>(response);
}

/** Sends an answer by POST and returns its verdict, which is a detail of the error unless it was taken. */
export async function answerByPost(fetch: Fetch, request: AnswerPromptRequest): Promise<AnswerResult> {
  const response = await post(fetch, "/askback.v1.HitlService/AnswerPrompt", JSON.stringify(request));
  if (response.ok) {
    return (await bodyOf<Methods["HitlService/AnswerPrompt"]["response"]>(response)).result ?? {};
  }
  const body = await json<ErrorBody>(response);
  const verdict = detail(body, "askback.v1.AnswerResult") as AnswerResult;
  if (verdict.status) {
    return verdict;
  }
  throw callError(response, body);
}
