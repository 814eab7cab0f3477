import assert from "node:assert/strict";
import { test } from "node:test";
import {
  addKey,
  COMMANDS,
  commandOf,
  isUsable,
  type KeyChoices,
  mapOf,
  readChoices,
  removeKey,
} from "../src/view/key_map";

const command = (does: string) => {
  const found = COMMANDS.find((one) => one.does === does);
  assert.ok(found, does);
  return found;
};
const approve = command("key.approve");
const reject = command("key.reject");
const fill = command("key.fill");
const added = (choices: KeyChoices, to: typeof approve, key: string): KeyChoices => {
  const change = addKey(choices, to, key);
  assert.equal(change.kind, "done", key);
  return change.kind === "done" ? change.choices : {};
};

test("without a choice each command has its usual key, and no key has two commands", () => {
  const map = mapOf({});
  for (const one of COMMANDS) assert.deepEqual(map.get(one), [one.key]);
  assert.equal(new Set(COMMANDS.map((one) => one.key)).size, COMMANDS.length);
});

test("a command can have several keys, and none", () => {
  const two = added({}, approve, "y");
  assert.deepEqual(mapOf(two).get(approve), ["a", "y"]);
  const one = removeKey(two, approve, "a");
  assert.equal(commandOf(mapOf(one), "a"), undefined);
  assert.equal(commandOf(mapOf(one), "y"), approve);
  assert.deepEqual(mapOf(removeKey(one, approve, "y")).get(approve), []);
  assert.deepEqual(removeKey(two, approve, "y"), {}, "the usual keys are no choice");
});

test("a key of another command is refused, and free again when that one has given it up", () => {
  const change = addKey({}, approve, "r");
  assert.deepEqual(change, { kind: "taken", by: reject });
  const free = removeKey({}, reject, "r");
  assert.equal(commandOf(mapOf(added(free, approve, "r")), "r"), approve);
  assert.deepEqual(addKey({}, approve, "a"), { kind: "done", choices: {} });
});

test("a key is one visible character; Enter is for the form only", () => {
  for (const key of ["ä", "1", ";", "A", "é", "日"]) assert.ok(isUsable(key, approve), key);
  for (const key of [" ", "", "ab", "F1", "Dead", "ArrowUp", "Enter", "\u200b", "\u202e", "\u0301"]) {
    assert.ok(!isUsable(key, approve), JSON.stringify(key));
  }
  assert.ok(isUsable("Enter", fill));
  assert.deepEqual(addKey({}, approve, "Tab"), { kind: "unusable" });
});

test("a chosen key wins over the usual key of a command that a newer page brings", () => {
  const map = mapOf({ "key.approve": ["s"], "key.reject": ["s", "r"] });
  assert.deepEqual(map.get(approve), ["s"]);
  assert.deepEqual(map.get(reject), ["r"], "the first command keeps a key that is stored twice");
  assert.deepEqual(map.get(command("key.skip")), []);
});

test("what is stored may be anything", () => {
  for (const value of [null, 3, "a", [], { "key.approve": "y" }, { nothing: ["y"] }, undefined]) {
    assert.deepEqual(readChoices(value), {}, JSON.stringify(value));
  }
  const odd = readChoices({ "key.approve": ["y", 3, "", "long", "y"], "key.fill": ["Enter", "f"] });
  assert.deepEqual(mapOf(odd).get(approve), ["y"]);
  assert.deepEqual(mapOf(odd).get(fill), ["Enter", "f"]);
});
