import assert from "node:assert/strict";
import { test } from "node:test";
import { watchJob, watchJobs } from "../src/model/job_list";
import { EventFeed } from "../src/wire/event_feed";
import { EventParser } from "../src/wire/event_parser";
import { FakeClock, settle } from "./support/clock";
import { FakeGateway } from "./support/gateway";

function setup() {
  const clock = new FakeClock();
  const gateway = new FakeGateway();
  const browser = { visible: true, signedOut: 0 };
  const environment = {
    clock,
    random: () => 0.5,
    fetch: gateway.fetch,
    visible: () => browser.visible,
    signedOut: () => {
      browser.signedOut += 1;
    },
  };
  const taken: unknown[] = [];
  const open = () =>
    new EventFeed({ ...environment, path: "/events/x", take: (message) => taken.push(message) });
  return { clock, gateway, browser, environment, taken, open };
}

test("events are read wherever their text is cut", () => {
  const text =
    'retry: 2000\n\n: nothing\n\nid: 7\r\ndata: {"a":\r\ndata: "ü"}\r\n\r\nevent: error\ndata:x\n\n';
  for (let cut = 0; cut <= text.length; cut += 1) {
    const parser = new EventParser();
    assert.deepEqual(
      [...parser.feed(text.slice(0, cut)), ...parser.feed(text.slice(cut))],
      [
        { name: "message", data: '{"a":\n"ü"}', id: "7" },
        { name: "error", data: "x", id: "" },
      ],
    );
  }
});

test("a stream that ends is opened again, from the last position", async () => {
  const { clock, gateway, taken, open } = setup();
  const feed = open();
  assert.equal(feed.state.value, "connecting");
  await settle();
  await gateway.message("t1", { n: 1 });
  await gateway.message("", { n: 2 });
  assert.deepEqual([feed.state.value, taken], ["open", [{ n: 1 }, { n: 2 }]]);
  await gateway.end();
  assert.equal(feed.state.value, "connecting");
  await clock.advance(1000);
  await gateway.message("t2", { n: 3 });
  assert.deepEqual(
    gateway.asked.map(({ position }) => position),
    ["", "t1"],
  );
  assert.deepEqual(taken.length, 3);
  feed.close();
  await clock.advance(100_000);
  assert.deepEqual([gateway.asked.length, feed.state.value, clock.timers], [2, "closed", 0]);
});

test("refusals: not permitted stays refused, signed out waits for the sign-in, down climbs the ladder", async () => {
  for (const [code, status, state] of [
    ["permission_denied", 403, "refused"],
    ["unauthenticated", 401, "offline"],
    ["unavailable", 503, "offline"],
  ] as const) {
    const { clock, gateway, browser, open } = setup();
    gateway.refusal = Response.json({ code, message: "m" }, { status });
    const feed = open();
    await clock.advance(10_000);
    assert.deepEqual([feed.state.value, feed.error.value?.code], [state, code]);
    assert.equal(browser.signedOut, code === "unauthenticated" ? 1 : 0);
    assert.equal(gateway.asked.length > 1, code === "unavailable");
    gateway.refusal = null;
    feed.wake();
    await clock.advance(10_000);
    await gateway.message("t", {});
    assert.deepEqual([feed.state.value, feed.error.value], ["open", null]);
    const { length } = gateway.asked;
    await clock.advance(60_000);
    assert.equal(gateway.asked.length, length + 1, "its silence is noticed");
    feed.close();
  }
});

test("an error in the stream is no message", async () => {
  const { clock, gateway, taken, open } = setup();
  const feed = open();
  await settle();
  await gateway.write('event: error\ndata: {"code":"unavailable","message":"draining"}\n\n');
  assert.deepEqual([feed.state.value, feed.error.value?.message, taken], ["offline", "draining", []]);
  await clock.advance(1000);
  assert.equal(gateway.asked.length, 2);
  feed.close();
});

test("a silent stream is replaced in a visible page; comments keep it", async () => {
  const { clock, gateway, browser, open } = setup();
  const feed = open();
  await settle();
  for (let minute = 0; minute < 10; minute += 1) {
    await clock.advance(15_000);
    await gateway.write(": nothing happened\n\n");
  }
  assert.equal(gateway.asked.length, 1);
  browser.visible = false;
  await clock.advance(300_000);
  assert.equal(gateway.asked.length, 1);
  browser.visible = true;
  feed.wake();
  await settle();
  assert.equal(gateway.asked.length, 2);
  feed.close();
});

test("a list of jobs: newest state by version, removed ones go, a reset takes their place at once", async () => {
  const { gateway, environment } = setup();
  const list = watchJobs(environment, { namespace: "", states: ["JOB_STATE_PENDING", "JOB_STATE_RUNNING"] });
  assert.equal(gateway.asked[0]?.path, "/events/jobs?states=JOB_STATE_PENDING&states=JOB_STATE_RUNNING");
  await settle();
  const job = (jobId: string, version: string) => ({ jobId, version });
  await gateway.message("", { jobs: [job("a", "9"), job("b", "1")] });
  assert.equal(list.complete.value, false);
  await gateway.message("t1", { jobs: [job("a", "10"), job("a", "9")], caughtUp: true });
  assert.deepEqual([list.complete.value, list.jobs.value.get("a")?.version], [true, "10"]);
  await gateway.message("t2", { reset: "slow" });
  await gateway.message("", { jobs: [job("b", "2")] });
  assert.equal(list.jobs.value.size, 2, "what is shown stays until the snapshot is complete");
  await gateway.message("t3", { jobs: [job("c", "1")], caughtUp: true });
  await gateway.message("t4", { removedJobIds: ["c"] });
  assert.deepEqual([...list.jobs.value.keys()], ["b"]);
  list.close();
});

test("a job's events come once and in order, and its feed ends with it", async () => {
  const { clock, gateway, environment } = setup();
  const history = watchJob(environment, "j/1");
  assert.equal(gateway.asked[0]?.path, "/events/jobs/j%2F1");
  await settle();
  await gateway.message("2", { events: [{ seq: "1" }, { seq: "2" }] });
  await gateway.message("10", {
    events: [{ seq: "2" }, { seq: "10", type: "JOB_EVENT_TYPE_JOB_COMPLETED" }],
  });
  assert.deepEqual(
    history.events.value.map(({ seq }) => seq),
    ["1", "2", "10"],
  );
  assert.equal(history.state.value, "closed");
  await clock.advance(60_000);
  assert.equal(gateway.asked.length, 1);
});
