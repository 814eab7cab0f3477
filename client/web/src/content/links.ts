// Decides which addresses become links. Other addresses stay text.

export interface SafeLink {
  /** What the anchor opens. */
  readonly href: string;
  /** The destination to show: the host in ASCII, or an e-mail address. */
  readonly host: string;
}

const MAX_URL = 2_048;
const WEB = new Set(["http:", "https:"]);

/** The link to an absolute http, https or mailto address; null for every other address. */
export function safeLink(address: string): SafeLink | null {
  const link = parse(address);
  if (link === null) return null;
  if (link.protocol === "mailto:") {
    const to = decode(link.pathname);
    return to === "" ? null : { href: link.href, host: to };
  }
  return WEB.has(link.protocol) && link.host !== "" ? { href: link.href, host: link.host } : null;
}

/** The link to an http or https address; null for every other address. */
export function webLink(address: string): SafeLink | null {
  const link = safeLink(address);
  return link?.href.startsWith("http") ? link : null;
}

function parse(address: string): URL | null {
  // `new URL` removes control characters and spaces, so "java\nscript:" would become a scheme; refuse them instead.
  if (address.length > MAX_URL || /[\s\\\p{Cc}]/u.test(address)) return null;
  try {
    const link = new URL(address);
    // A name before the host ("https://bank.example@evil.example") misleads the reader.
    return link.username === "" && link.password === "" ? link : null;
  } catch {
    return null;
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
