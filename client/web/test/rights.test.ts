import assert from "node:assert/strict";
import { test } from "node:test";
import { rightOf } from "../src/view/rights";
import { prompt } from "./prompts_of_tests";

// Other cases, with what the service finds, are in tests/web/test_page_rights.py.
test("a person who passed on the right of another one keeps one of its own that came later", () => {
  const delegations = [
    { holder: "ana", giver: "ana", group: "ops" },
    { holder: "ana", giver: "ben", user: "cy", transferred: true },
    { holder: "dev", giver: "dev", user: "ben" },
  ];
  const found = prompt(1, { delegations }, { audience: { users: ["ana", "dev"], groups: ["law"] } });
  assert.equal(rightOf(found, { subject: "ben", groups: ["ops"] })?.holder, "dev");
  assert.equal(rightOf(found, { subject: "ben", groups: ["ops", "law"] })?.holder, "ben");
});
