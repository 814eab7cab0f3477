// How far back the overview goes, as it stands in the address.

const SECONDS = { "1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800, "30d": 2_592_000 } as const;
export type WindowName = keyof typeof SECONDS;
export const WINDOWS = Object.keys(SECONDS) as readonly WindowName[];
export const USUAL_WINDOW: WindowName = "24h";

/** The window of an address; the usual one where it names none that is known. */
export function readWindow(params: URLSearchParams): WindowName {
  return WINDOWS.find((name) => name === params.get("window")) ?? USUAL_WINDOW;
}

/** The address's part of the window. */
export function writeWindow(name: WindowName): URLSearchParams {
  return new URLSearchParams(name === USUAL_WINDOW ? {} : { window: name });
}

/** The window as the contract writes it: `3600s`. */
export function durationOf(name: WindowName): string {
  return `${SECONDS[name]}s`;
}
