// The figures, read again and again while the view is open and the page is visible.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { GetOverviewResponse } from "../../wire/messages";
import { usePage, useSignedIn } from "../page";
import { halfMinute } from "../times";
import { durationOf, type WindowName } from "./window";

/** Seconds between two readings, which are those of `halfMinute`. */
export const EVERY = 30;

export interface Found {
  readonly window: WindowName;
  readonly reply: GetOverviewResponse;
}

/** The newest figures, an error of the last reading, and a way to read now. */
export function useOverview(window: WindowName) {
  const { inbox } = usePage();
  const isSignedIn = useSignedIn();
  const found = useSignal<Found | null>(null);
  const error = useSignal<unknown>(null);
  const isReading = useSignal(false);
  /** The number of the last reading: a slow reply of an earlier one, perhaps of another window, counts no more. */
  const newest = useRef(0);
  const read = async () => {
    newest.current += 1;
    const mine = newest.current;
    isReading.value = true;
    try {
      const reply = await inbox.call("JobService/GetOverview", { window: durationOf(window) });
      if (mine !== newest.current) return;
      found.value = { window, reply };
      error.value = null;
    } catch (problem) {
      if (mine !== newest.current) return;
      error.value = problem;
    }
    isReading.value = false;
  };
  useEffect(() => {
    if (isSignedIn) void read();
  }, [inbox, isSignedIn, window, halfMinute.value]);
  useEffect(
    () => () => {
      newest.current += 1;
    },
    [],
  );
  return { found, error, isReading, read };
}
