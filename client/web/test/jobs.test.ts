import assert from "node:assert/strict";
import { test } from "node:test";
import { courseOf, wholeRange, zoom } from "../src/view/jobs/course";
import { arrange, endedStates, passes, readJobQuery, writeJobQuery } from "../src/view/jobs/job_query";
import { hasEnded, jobStateText } from "../src/view/job_facts";
import { isClient } from "../src/view/roles";
import { formatRoute, parseRoute } from "../src/view/route";
import type { Job, JobEvent, JobState } from "../src/wire/messages";

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

function event(second: number, type: string, state: string, data: object = {}): JobEvent {
  return {
    time: new Date(second * 1000).toISOString(),
    type: `JOB_EVENT_TYPE_${type}` as "JOB_EVENT_TYPE_JOB_LEASED",
    state: `JOB_STATE_${state}` as JobState,
    dataJson: JSON.stringify(data),
  };
}

test("the course of a job has its attempts, leases, waits and questions", () => {
  const events = [
    event(0, "JOB_CREATED", "PENDING"),
    event(1, "JOB_LEASED", "RUNNING", { attempt: 1, worker_id: "w1" }),
    event(2, "PROMPT_ASKED", "PENDING_HITL"),
    event(3, "JOB_RELEASED", "PENDING_HITL", { parked: true }),
    event(6, "PROMPT_ANSWERED", "PENDING"),
    event(7, "JOB_LEASED", "RUNNING", { attempt: 1, worker_id: "w2" }),
    event(8, "JOB_RETRIED", "PENDING", { attempt: 2 }),
    event(9, "JOB_LEASED", "RUNNING", { attempt: 2, worker_id: "w1" }),
  ];
  const asked = { createTime: new Date(2000).toISOString(), state: "PROMPT_STATE_PENDING" } as const;
  const spans = courseOf(events, [{ ...asked, content: { title: "Pay?" } }], 12_000);
  const of = (kind: string) =>
    spans.filter((one) => one.kind === kind).map((one) => [one.name, one.from, one.to, one.isOpen]);
  assert.deepEqual(of("attempt"), [
    ["1", 1000, 8000, false],
    ["2", 9000, 12_000, true],
  ]);
  assert.deepEqual(of("lease"), [
    ["w1", 1000, 3000, false],
    ["w2", 7000, 8000, false],
    ["w1", 9000, 12_000, true],
  ]);
  assert.deepEqual(of("wait"), [["", 2000, 6000, false]]);
  assert.deepEqual(of("prompt"), [["Pay?", 2000, 12_000, true]]);
  assert.deepEqual(wholeRange(spans, 0), { from: 0, to: 12_000 });
});

test("a closer look stays inside of the whole", () => {
  const whole = { from: 0, to: 8000 };
  const half = zoom(whole, whole, 0.5);
  assert.deepEqual(half, { from: 2000, to: 6000 });
  assert.deepEqual(zoom(half, whole, 1, 0.5), { from: 4000, to: 8000 });
  assert.deepEqual(zoom({ from: 4000, to: 8000 }, whole, 1, 0.5), { from: 4000, to: 8000 });
  assert.deepEqual(zoom(half, whole, 4), whole);
  assert.equal(zoom({ from: 0, to: 100 }, whole, 0.1).to, 100);
});
