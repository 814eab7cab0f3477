import type { Link } from "../model/inbox";

/** What to do after a close code. */
interface CloseVerdict {
  /** Do not connect again. */
  readonly stop?: Link;
  /** Take a new snapshot. */
  readonly forgetToken?: boolean;
  /** A bug of ours: stop after three. */
  readonly bug?: boolean;
  /** The least wait in ms. */
  readonly floorMs?: number;
}

const VERDICTS: { readonly [code: number]: CloseVerdict } = {
  1002: { bug: true },
  1003: { bug: true },
  // A message that the other side could not read.
  1007: { bug: true },
  // A message that was larger than it may be.
  1009: { bug: true },
  // Try again later.
  1013: { floorMs: 5000 },
  4401: { stop: "signed_out" },
  4403: { stop: "forbidden" },
  // This page read too slowly.
  4408: { forgetToken: true },
  4409: { stop: "page_too_old" },
};

/** Every code that is not in the table (1001, 1006, 1011, 1012 …) means: connect again. */
export function verdictOn(code: number): CloseVerdict {
  return VERDICTS[code] ?? {};
}
