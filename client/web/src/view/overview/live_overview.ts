// The figures, read again and again while the view is open and the page is visible.

import { signal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
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

class Figures {
  readonly found = signal<Found | null>(null);
  readonly error = signal<unknown>(null);
  readonly isReading = signal(false);
}

/** The newest figures, an error of the last reading, and a way to read now. */
export function useOverview(window: WindowName) {
  const { inbox } = usePage();
  const isSignedIn = useSignedIn();
  // Another person who signs in gets an inbox of their own: nothing of the one before stays.
  const { found, error, isReading } = useMemo(() => new Figures(), [inbox]);
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
