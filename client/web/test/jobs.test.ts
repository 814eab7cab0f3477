import assert from "node:assert/strict";
import { test } from "node:test";
import { arrange, endedStates, passes, readJobQuery, writeJobQuery } from "../src/view/jobs/job_query";
import { hasEnded, isClient, jobStateText } from "../src/view/job_facts";
import { formatRoute, parseRoute } from "../src/view/route";
import type { Job } from "../src/wire/messages";

const query = (text: string) => readJobQuery(new URLSearchParams(text));

test("the filters of the list of jobs survive being read and written", () => {
  const address = "/jobs?state=running&state=failed&type=refund&creator=ada&label=team%3Da%3Db";
  const [path = "", search = ""] = address.split("?");
  const { place, query: ofQueue } = parseRoute(path, `?${search}`);
  assert.equal(formatRoute(place, ofQueue), address);
  // A filter of the list of jobs is none of the queue.
  assert.deepEqual(ofQueue.types, []);
  assert.equal(writeJobQuery(query("state=nonsense&label=x&label=%3Dx&type=")).toString(), "");
});

test("a link to a job carries its id", () => {
  assert.deepEqual(parseRoute("/jobs/0190-a", "").place, { view: "job", jobId: "0190-a" });
  assert.equal(parseRoute("/jobs/a/b", "").place.view, "unknown");
});

test("a job passes where every condition holds, and any value of one", () => {
  const job: Job = { jobType: "refund", userId: "ada", state: "JOB_STATE_RUNNING", labels: { team: "a=b" } };
  for (const text of [
    "",
    "state=running&state=failed",
    "type=x&type=refund",
    "creator=ada&label=team%3Da%3Db",
  ]) {
    assert.equal(passes(job, query(text)), true, text);
  }
  for (const text of [
    "state=failed",
    "type=refun",
    "creator=ben",
    "label=team%3Da",
    "type=refund&creator=ben",
  ]) {
    assert.equal(passes(job, query(text)), false, text);
  }
});

test("of a job in two sources the newest version counts, and the newest job comes first", () => {
  const old: Job = { jobId: "a", version: "9", state: "JOB_STATE_RUNNING" };
  const ended: Job = { jobId: "a", version: "10", state: "JOB_STATE_COMPLETED" };
  const other: Job = { jobId: "b", version: "1", state: "JOB_STATE_PENDING" };
  assert.deepEqual(arrange([[old], [ended, other]], query("")), [other, ended]);
  assert.deepEqual(arrange([[ended], [old, other]], query("")), [other, ended]);
  assert.deepEqual(arrange([[old], [ended]], query("state=running")), []);
});

test("ended jobs are read only where the filter wants them", () => {
  assert.equal(endedStates(query("")).length, 3);
  assert.deepEqual(endedStates(query("state=running&state=failed")), ["failed"]);
  assert.deepEqual(endedStates(query("state=running")), []);
});

test("the state is said in words for people", () => {
  const now = Date.parse("2026-11-29T12:00:00Z");
  const say = (job: Job) => jobStateText(job, now);
  assert.equal(say({ state: "JOB_STATE_PENDING" }), "Waits for a worker");
  const later = { state: "JOB_STATE_PENDING", readyTime: "2026-11-29T12:05:00Z" } as const;
  assert.equal(say({ ...later, attempt: 1 }), "Starts in 5 min");
  assert.equal(say({ ...later, attempt: 2 }), "Attempt 2 starts in 5 min");
  assert.equal(
    say({ state: "JOB_STATE_PENDING_HITL", openBlockingPrompts: 1 }),
    "Waits for people: 1 question",
  );
  assert.equal(
    say({ state: "JOB_STATE_RUNNING", cancelRequestTime: later.readyTime }),
    "Asked to stop; its worker has 30 s",
  );
  assert.equal(say({ state: "JOB_STATE_CANCELLED", cancelRequestTime: later.readyTime }), "Cancelled");
  assert.equal(hasEnded({ state: "JOB_STATE_NEW" as "JOB_STATE_FAILED" }), false);
});

test("jobs are for the role client, and for admins", () => {
  assert.equal(isClient({ signedIn: true, roles: ["console"] }), false);
  assert.equal(isClient({ signedIn: true, roles: ["console", "client"] }), true);
  assert.equal(isClient({ signedIn: true, roles: ["admin"], admin: true }), true);
});
