import { bodyOf, exchange, type Fetch, POST_HEADERS } from "../wire/unary";
import { CallError } from "./call_error";

/** Who is signed in, as `GET /session` says. */
export interface Session {
  readonly signedIn: boolean;
  readonly subject?: string;
  readonly groups?: readonly string[];
  readonly namespaces?: readonly string[];
  readonly roles?: readonly string[];
  readonly admin?: boolean;
  readonly expireTime?: string;
  readonly serverTime?: string;
  readonly authentication?: string;
  readonly signIn?: readonly ("token" | "name" | "oidc")[];
  /** The version of the page that the gateway serves. */
  readonly pageVersion?: string;
  readonly server?: string;
}

export type Credential =
  | { readonly token: string }
  | { readonly name: string; readonly groups?: readonly string[] };

interface Refusal {
  readonly code?: "unauthenticated" | "permission_denied";
  readonly message?: string;
}

async function ask(fetch: Fetch, path: string, init: RequestInit): Promise<Session> {
  const response = await exchange(fetch, path, init);
  if (response.ok) {
    return bodyOf<Session>(response);
  }
  const { code, message } = (await response.json().catch(() => ({}))) as Refusal;
  const byStatus = { 401: "unauthenticated", 403: "permission_denied" } as const;
  throw new CallError({
    code: code ?? byStatus[response.status as 401 | 403] ?? "unavailable",
    message: message ?? `The gateway answered with status ${response.status}.`,
  });
}

/** Also renews the cookie, which lives for 15 minutes. Rejects with CallError. */
export function fetchSession(fetch: Fetch): Promise<Session> {
  return ask(fetch, "/session", {});
}

/** Rejects with CallError: "unauthenticated" for a credential that the service does not know. */
export function signIn(fetch: Fetch, credential: Credential): Promise<Session> {
  return ask(fetch, "/session", { method: "POST", headers: POST_HEADERS, body: JSON.stringify(credential) });
}

/** Ends the session of this browser. Rejects with CallError. */
export function signOut(fetch: Fetch): Promise<Session> {
  return ask(fetch, "/session/end", { method: "POST", headers: POST_HEADERS, body: "{}" });
}
