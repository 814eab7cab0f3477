import assert from "node:assert/strict";
import { test } from "node:test";

test("the engine of the tests reads numbers with their source text", () => {
  const parse = JSON.parse as (
    text: string,
    reviver: (key: string, value: unknown, context: { source: string }) => unknown,
  ) => unknown;
  assert.equal(
    parse("9007199254740993", (_, __, context) => context.source),
    "9007199254740993",
  );
});
