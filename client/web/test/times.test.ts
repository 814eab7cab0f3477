import assert from "node:assert/strict";
import { test } from "node:test";
import { day } from "../src/view/times";

test("a day is named from where the reader stands: today, yesterday, its date, and its year in another one", () => {
  const at = (text: string) => new Date(text).getTime();
  const now = at("2026-03-01T00:05:00");
  assert.equal(day(at("2026-03-01T00:00:00"), now), "Today");
  assert.equal(day(at("2026-02-28T23:59:59"), now), "Yesterday");
  assert.match(day(at("2026-02-27T23:59:59"), now), /^Friday\W+(27 February|February 27)$/);
  assert.match(day(at("2025-12-31T12:00:00"), now), /2025$/);
});
