import assert from "node:assert/strict";
import { test } from "node:test";
import { reachNames } from "../src/view/audience";
import { prompt } from "./prompts_of_tests";

test("those who may answer are those who are asked and their delegates, without those who gave it away", () => {
  const asked = { audience: { users: ["ana", "cy"], groups: ["law"] } };
  assert.equal(reachNames(prompt(1, {}, asked)), "group law, ana, cy");
  const delegations = [
    { holder: "ana", giver: "ana", user: "ben", transferred: true },
    { holder: "ana", giver: "ben", group: "ops" },
    { holder: "cy", giver: "cy", user: "dev" },
  ];
  assert.equal(reachNames(prompt(1, { delegations }, asked)), "group law, group ops, cy, ben, dev");
  assert.equal(reachNames(prompt(1, { delegations })), "", "everyone is asked");
});
