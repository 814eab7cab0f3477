import { bodyOf, errorOf, exchange, type Fetch, POST_HEADERS } from "../wire/unary";

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

type Credential = { readonly token: string } | { readonly name: string; readonly groups?: readonly string[] };

async function ask(fetch: Fetch, path: string, init: RequestInit): Promise<Session> {
  const response = await exchange(fetch, path, init);
  if (response.ok) {
    return bodyOf<Session>(response);
  }
  throw await errorOf(response);
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
