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
