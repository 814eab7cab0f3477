import assert from "node:assert/strict";
import { test } from "node:test";
import { absencesOf, fromLocal, holds, toLocal } from "../src/view/absences";
import type { Absence } from "../src/wire/messages";
import { at, NOW } from "./prompts_of_tests";

const away = (absenceId: string, from: number, until: number, subject = "ana"): Absence => ({
  absenceId,
  subject,
  fromTime: at(from),
  untilTime: at(until),
});

test("absences that are over, or were removed before they began, are left out; the first comes first", () => {
  const all = [
    away("later", 60, 120),
    away("over", -120, 0),
    away("now", -60, 30),
    away("dropped", 90, 90),
    away("of ben", -60, 30, "ben"),
  ];
  assert.deepEqual(
    absencesOf(all, "ana", NOW).map((one) => one.absenceId),
    ["now", "later"],
  );
});

test("a person is away from the begin until before the end", () => {
  const one = away("one", 0, 30);
  assert.deepEqual(
    [-1, 0, 29, 30].map((minute) => holds(one, NOW + minute * 60_000)),
    [false, true, true, false],
  );
});

test("a time is written in the zone of the browser and read back", () => {
  const stamp = "2026-03-29T10:05:00.000Z";
  assert.equal(fromLocal(toLocal(stamp)), stamp);
  assert.equal(fromLocal(""), undefined);
  assert.equal(fromLocal("no time"), undefined);
});

test("a time that was not changed keeps its seconds", () => {
  const stamp = "2026-11-30T10:05:42.123Z";
  assert.equal(fromLocal(toLocal(stamp), stamp), stamp);
  assert.equal(fromLocal(toLocal("2026-11-30T10:06:00Z"), stamp), "2026-11-30T10:06:00.000Z");
});
