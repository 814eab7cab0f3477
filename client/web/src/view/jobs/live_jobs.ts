// Feeds of jobs for the components that show them: open while the component is there.

import { type ReadonlySignal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { type JobHistory, type JobList, watchJob, watchJobs } from "../../model/job_list";
import type { Inbox } from "../../model/inbox";
import { fetchHere } from "../../model/start";
import { clock } from "../../wire/browser";
import { usePage, useSignedIn } from "../page";
import type { JobQuery } from "./job_query";
import type { Reading } from "./reading";

const environment = {
  clock,
  random: Math.random,
  fetch: fetchHere,
  visible: () => document.visibilityState === "visible",
  // The stream of prompts learns it too, and asks the person to sign in.
  signedOut: () => {},
};

interface Feed {
  wake(): void;
  close(): void;
}

/** Opens a feed when the component appears or `key` changes; the feed is null until then. */
function useFeed<F extends Feed>(open: () => F, key: string): ReadonlySignal<F | null> {
  const { inbox } = usePage();
  const isSignedIn = useSignedIn();
  const feed = useMemo(() => signal<F | null>(null), []);
  useEffect(() => {
    if (isSignedIn) feed.peek()?.wake();
  }, [isSignedIn]);
  useEffect(() => {
    const opened = open();
    feed.value = opened;
    const wake = () => {
      if (document.visibilityState === "visible") opened.wake();
    };
    document.addEventListener("visibilitychange", wake);
    addEventListener("online", wake);
    return () => {
      document.removeEventListener("visibilitychange", wake);
      removeEventListener("online", wake);
      opened.close();
    };
  }, [inbox, key]);
  return feed;
}

/** Every job of these types and creators that has not ended, and each job that changes. */
export function useJobs(query: JobQuery): ReadonlySignal<JobList | null> {
  const filter = { jobTypes: query.types, userIds: query.creators };
  return useFeed(() => watchJobs(environment, filter), JSON.stringify(filter));
}

/** A job's events, and what is read of it, again after each event. */
export function useLiveJob<R extends Reading>(jobId: string, Kind: new (inbox: Inbox, jobId: string) => R) {
  const { inbox } = usePage();
  const isSignedIn = useSignedIn();
  const reading = useMemo(() => new Kind(inbox, jobId), [inbox, jobId]);
  const feed = useFeed<JobHistory>(() => watchJob(environment, jobId), jobId).value;
  const events = feed?.events.value ?? [];
  // The events say that something changed; what the job is now is read.
  useEffect(() => {
    if (isSignedIn) void reading.read();
  }, [reading, events.length, isSignedIn]);
  return { reading, feed, events, error: reading.error.value ?? feed?.error.value ?? null };
}
