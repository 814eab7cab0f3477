import assert from "node:assert/strict";
import { test } from "node:test";
import { isLabelCondition, isSameLabel, labelsOf, meetsAll, valuesOf } from "../src/view/conditions";

test("a condition is cut at its first sign, and needs a name", () => {
  assert.deepEqual(labelsOf(["team=a=b", "desk="]), { team: "a=b", desk: "" });
  assert.deepEqual(["a=b", "a=", "=b", "a"].map(isLabelCondition), [true, true, false, false]);
  assert.ok(isSameLabel("team=a", "team=b=c"));
  assert.ok(!isSameLabel("team=a", "teams=a"));
});

test("every condition must hold", () => {
  assert.ok(meetsAll({ team: "a=b", desk: "1" }, ["team=a=b", "desk=1"]));
  assert.ok(!meetsAll({ team: "a=b", desk: "1" }, ["team=a=b", "desk=2"]));
  assert.ok(!meetsAll(undefined, ["team=a"]));
  assert.ok(meetsAll(undefined, []));
});

test("an address gives each value once, and not more than 20", () => {
  const written = ["a", "", "a", ...Array.from({ length: 30 }, (_, n) => `v${n}`)];
  const params = new URLSearchParams(written.map((value) => ["type", value]));
  const found = valuesOf(params, "type");
  assert.deepEqual([found.length, found[0], found[1]], [20, "a", "v0"]);
});
