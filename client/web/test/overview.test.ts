import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ageClasses,
  agesOf,
  highest,
  isQuiet,
  JOB_ROWS,
  QUESTION_ROWS,
  saysEnough,
  seriesOf,
  lastTwo,
  stepsOf,
  timeScale,
  typesOf,
} from "../src/view/overview/figures";
import { durationOf, readWindow, WINDOWS } from "../src/view/overview/window";
import { DEFAULT_QUERY } from "../src/view/query";
import { formatRoute, parseRoute } from "../src/view/route";
import type { Activity } from "../src/wire/messages";

const HOUR = 3_600_000;
const START = Date.parse("2026-11-29T10:00:00Z");
const activity: Activity = {
  startTime: "2026-11-29T10:00:00Z",
  step: "3600s",
  total: { promptsAsked: "12", promptsExpired: "1", jobsFailed: "2" },
  points: [
    { time: "2026-11-29T10:00:00Z", counts: { promptsAsked: "2", jobsFailed: "2" } },
    { time: "2026-11-29T11:00:00Z", counts: {} },
    { time: "2026-11-29T12:00:00Z", counts: { promptsAsked: "10", promptsExpired: "1" } },
  ],
};

test("the window stands in the address, and the usual one does not", () => {
  for (const window of WINDOWS) {
    const address = formatRoute({ view: "overview", window }, DEFAULT_QUERY);
    assert.equal(address, window === "24h" ? "/overview" : `/overview?window=${window}`);
    const [path = "", search = ""] = address.split("?");
    assert.deepEqual(parseRoute(path, `?${search}`).place, { view: "overview", window });
  }
  assert.equal(readWindow(new URLSearchParams("window=2h")), "24h");
  assert.deepEqual(parseRoute("/overview", "?kind=confirm").query, DEFAULT_QUERY);
  // The service takes an hour to thirty days.
  assert.deepEqual(
    WINDOWS.map(durationOf).map((text) => Number.parseInt(text, 10) / 3600),
    [1, 6, 24, 168, 720],
  );
});

test("the last step ends now, because it is not over yet", () => {
  const now = START + 2.5 * HOUR;
  const steps = stepsOf(activity, now);
  assert.deepEqual(
    steps.map((step) => [step.from - START, step.to - START, step.goesOn]),
    [
      [0, HOUR, false],
      [HOUR, 2 * HOUR, false],
      [2 * HOUR, 2.5 * HOUR, true],
    ],
  );
});

test("the step that goes on is compared with the one before it", () => {
  const steps = stepsOf(activity, START + 2.5 * HOUR);
  const two = lastTwo(steps);
  assert.deepEqual([two?.now.from, two?.before.from], [START + 2 * HOUR, START + HOUR]);
  assert.equal(lastTwo(steps.slice(2)), null);
  // The service has not begun to count the hour: the last step is over.
  assert.equal(lastTwo(stepsOf(activity, START + 3.5 * HOUR)), null);
});

test("counts are numbers, not texts, and rows with nothing in them are left out", () => {
  const steps = stepsOf(activity, START + 3 * HOUR);
  const questions = seriesOf(activity, steps, QUESTION_ROWS);
  assert.deepEqual(
    questions.map((row) => [row.measure, row.total, row.values]),
    [
      ["promptsAsked", 12, [2, 0, 10]],
      ["promptsAnswered", 0, [0, 0, 0]],
      ["promptsExpired", 1, [0, 0, 1]],
    ],
  );
  // As texts "2" would be above "10".
  assert.equal(highest(questions), 10);
  assert.deepEqual(
    seriesOf(activity, steps, JOB_ROWS).map((row) => row.measure),
    ["jobsCreated", "jobsFailed"],
  );
});

test("every measure of the contract has a row", () => {
  const measures = [...QUESTION_ROWS, ...JOB_ROWS].map(([measure]) => measure);
  assert.equal(new Set(measures).size, 10);
  for (const measure of measures) assert.equal(isQuiet({ total: { [measure]: "1" } }), false, measure);
  assert.equal(isQuiet({ total: {} }), true);
});

test("age classes lie between the bounds of the service, and a last one is above all", () => {
  const classes = ageClasses({ ageBounds: ["60s", "3600s"] });
  assert.deepEqual(classes, [
    { from: 0, to: 60_000 },
    { from: 60_000, to: 3_600_000 },
    { from: 3_600_000, to: undefined },
  ]);
  assert.deepEqual(agesOf({ byAge: [1, 2, 3] }, classes.length), [1, 2, 3]);
  assert.deepEqual(agesOf({}, classes.length), [0, 0, 0]);
});

test("entries without a kind are those of jobs", () => {
  const found = typesOf({
    byType: [{ jobType: "a", kind: "confirm" }, { jobType: "a" }, { jobType: "b", kind: "" }],
  });
  assert.deepEqual([found.questions.length, found.jobs.length], [1, 2]);
});

test("the scale of times holds every time between two marks, the slower one higher", () => {
  for (const times of [
    [1],
    [500, 90_000],
    [60_000],
    [3_600_000, 3_600_000],
    [5, 38 * 24 * HOUR],
    [40 * 24 * HOUR],
  ]) {
    const scale = timeScale(times);
    assert.ok(scale.marks.length >= 2, `${times}`);
    assert.equal(scale.place(scale.marks[0] ?? 0), 0);
    assert.equal(scale.place(scale.marks.at(-1) ?? 0), 1);
    const places = [...times].sort((a, b) => a - b).map(scale.place);
    assert.deepEqual(
      places,
      [...places].sort((a, b) => a - b),
    );
    for (const place of places) assert.ok(place >= 0 && place <= 1, `${times}: ${place}`);
  }
  assert.deepEqual(timeScale([2_000, 70_000]).marks, [1_000, 10_000, 60_000, 600_000]);
});

test("few answers have no percentiles but the middle one", () => {
  assert.ok(saysEnough({ count: "3" }, "p50"));
  assert.ok(!saysEnough({ count: "19" }, "p90"));
  assert.ok(!saysEnough(undefined, "p99"));
  assert.ok(saysEnough({ count: "20" }, "p99"));
});
