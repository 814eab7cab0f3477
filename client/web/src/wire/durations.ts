import type { Duration } from "./messages";

/** Milliseconds of a ProtoJSON duration, for example 3500 of "3.5s"; `missing` without a valid one. */
export function milliseconds(duration: Duration | undefined, missing: number): number {
  const match = /^(-?\d+(?:\.\d+)?)s$/.exec(duration ?? "");
  return match ? Number(match[1]) * 1000 : missing;
}
