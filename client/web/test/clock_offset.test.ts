import assert from "node:assert/strict";
import { test } from "node:test";
import { ClockOffset } from "../src/wire/clock_offset";
import { milliseconds } from "../src/wire/durations";
import { FakeClock } from "./support/clock";

const HOUR_MS = 3600_000;
const at = (ms: number) => new Date(ms).toISOString();

test("rule 24: the machine's clock may be an hour early or late", () => {
  for (const wrong of [-HOUR_MS, 0, HOUR_MS]) {
    const clock = new FakeClock();
    const service = clock.wall() + wrong;
    const offset = new ClockOffset(clock);
    offset.sample(at(service));
    assert.equal(offset.now(), service);
    clock.freeze(5000);
    assert.equal(offset.now(), service + 5000);
  }
});

test("of the last eight heartbeats the least delayed one counts", () => {
  const clock = new FakeClock();
  const start = clock.wall();
  const offset = new ClockOffset(clock);
  for (const delay of [400, 30, 900, 200]) {
    clock.freeze(15_000);
    offset.sample(at(clock.wall() - delay));
    assert.equal(clock.wall() - offset.now() <= 400, true);
  }
  assert.equal(clock.wall() - offset.now(), 30);
  for (let beat = 0; beat < 8; beat += 1) {
    offset.sample(at(clock.wall() - 100));
  }
  assert.equal(clock.wall() - offset.now(), 100, "older ones are forgotten, as clocks drift");
  assert.ok(offset.now() > start);
  offset.sample("no time");
  assert.equal(clock.wall() - offset.now(), 100);
});

test("after a sleep the time is right at once, after a clock that was set back with the next heartbeat", () => {
  const clock = new FakeClock();
  const offset = new ClockOffset(clock);
  offset.sample(at(clock.wall()));
  clock.sleep(8 * HOUR_MS);
  offset.jumped(8 * HOUR_MS);
  assert.equal(offset.now(), clock.wall());
  const service = clock.wall();
  clock.set(-HOUR_MS);
  offset.jumped(-HOUR_MS);
  assert.equal(offset.now(), service);
  clock.set(2 * HOUR_MS);
  offset.jumped(2 * HOUR_MS);
  offset.sample(at(service));
  assert.equal(offset.now(), service);
});

test("durations of the contract", () => {
  assert.deepEqual(
    ["15s", "3.5s", "0.001s", "", undefined, "1m"].map((text) => milliseconds(text, 7)),
    [15_000, 3500, 1, 7, 7, 7],
  );
});
