import assert from "node:assert/strict";
import { test } from "node:test";
import { childPointer, pointerSteps } from "../src/json/pointer";

test("any name comes back from a pointer", () => {
  const names = ["lines", "0", "", "a/b", "a~b", "~1", "~0", "~01", "/"];
  assert.deepEqual(pointerSteps(names.reduce(childPointer, "")), names);
  assert.deepEqual(pointerSteps(""), []);
  assert.equal(childPointer("/lines", "a/b~c"), "/lines/a~1b~0c");
});
