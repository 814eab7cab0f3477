import assert from "node:assert/strict";
import { test } from "node:test";
import { isPlain, isSend, Presses, takesText } from "../src/view/press";
import { DEAD_MS, disturb, isSteady } from "../src/view/steady";

const key = (name: string, more: object = {}) => ({
  key: name,
  repeat: false,
  isComposing: false,
  keyCode: 65,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  shiftKey: false,
  ...more,
});

test("a plain key is one press without an input method and without modifiers", () => {
  assert.equal(isPlain(key("a")), true);
  for (const other of [{ repeat: true }, { isComposing: true }, { keyCode: 229 }, { ctrlKey: true }]) {
    assert.equal(isPlain(key("a", other)), false, JSON.stringify(other));
  }
  assert.equal(isPlain(key("a", { metaKey: true })), false);
  assert.equal(isPlain(key("a", { altKey: true })), false);
});

test("Enter alone never sends, and Enter of an input method does not either", () => {
  assert.equal(isSend(key("Enter")), false);
  assert.equal(isSend(key("Enter", { ctrlKey: true })), true);
  assert.equal(isSend(key("Enter", { metaKey: true })), true);
  assert.equal(isSend(key("Enter", { ctrlKey: true, isComposing: true })), false);
  assert.equal(isSend(key("Enter", { ctrlKey: true, keyCode: 229 })), false);
  assert.equal(isSend(key("Enter", { ctrlKey: true, repeat: true })), false);
});

test("letters belong to elements that take text, and to no checkbox", () => {
  assert.equal(takesText({ tagName: "TEXTAREA" }), true);
  assert.equal(takesText({ tagName: "INPUT", type: "search" }), true);
  assert.equal(takesText({ tagName: "INPUT", type: "datetime-local" }), true);
  assert.equal(takesText({ tagName: "SELECT" }), true);
  assert.equal(takesText({ tagName: "DIV", isContentEditable: true }), true);
  assert.equal(takesText({ tagName: "INPUT", type: "checkbox" }), false);
  assert.equal(takesText({ tagName: "INPUT", type: "radio" }), false);
  assert.equal(takesText({ tagName: "BUTTON" }), false);
  assert.equal(takesText(null), false);
});

test("a press counts only where it went down: same prompt, same revision", () => {
  const presses = new Presses();
  const one = { promptId: "p1", revision: 1 };
  presses.down("a", one, 1000);
  assert.equal(presses.up("a", { ...one }), 1000);
  assert.equal(presses.up("a", one), null, "it is used up");
  presses.down("a", one, 1000);
  assert.equal(presses.up("a", { promptId: "p1", revision: 2 }), null);
  presses.down("a", one, 1000);
  assert.equal(presses.up("a", { promptId: "p2", revision: 1 }), null);
  presses.down("a", null, 1000);
  assert.equal(presses.up("a", one), null);
  presses.down("a", one, 1000);
  presses.clear();
  assert.equal(presses.up("a", one), null, "the window lost the focus");
});

test("a press is judged by its own time, however late it is delivered", () => {
  const changed = performance.now();
  disturb(changed);
  assert.equal(isSteady(changed - 50, 0, "key"), false, "it was pressed before the change");
  assert.equal(isSteady(changed + DEAD_MS.key - 1, 0, "key"), false);
  assert.equal(isSteady(changed + DEAD_MS.key + 1, 0, "key"), true);
  assert.equal(
    isSteady(changed + DEAD_MS.key + 1, changed + 10, "key"),
    false,
    "the connection woke up later",
  );
});

test("a finger that goes on tapping in one place acts only after a pause", () => {
  const changed = performance.now() + 10_000;
  disturb(changed);
  for (const after of [350, 700, 1050, 1400]) assert.equal(isSteady(changed + after, 0, "pointer"), false);
  assert.equal(isSteady(changed + 1400 + DEAD_MS.pointer, 0, "pointer"), true);
});
