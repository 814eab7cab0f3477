import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { visiblePieces, visibleText } from "../src/content/visible";

const TABLE = JSON.parse(readFileSync("../../tests/web/visible_texts.json", "utf8")) as [string, string][];

test("hidden characters are written out as in the terminal", () => {
  assert.ok(TABLE.length > 40);
  for (const [text, visible] of TABLE) assert.equal(visibleText(text), visible, JSON.stringify(text));
});

test("an escape is told from the same characters that a person wrote", () => {
  assert.deepEqual(visiblePieces("a\u202eb <U+202E>"), ["a", { escape: "<U+202E>" }, "b <U+202E>"]);
  assert.deepEqual(visiblePieces(""), []);
  assert.deepEqual(visiblePieces("\ufdd0<x>\ufdd1"), [{ escape: "<U+FDD0>" }, "<x>", { escape: "<U+FDD1>" }]);
});

test("what is written out is not hidden itself", () => {
  for (let code = 0; code <= 0x10ffff; code += code < 0x3000 || (code > 0xd7ff && code < 0x10000) ? 1 : 251) {
    const shown = visibleText(`a${String.fromCodePoint(code)}b`).replace(/[\t\n]/, "");
    assert.doesNotMatch(shown, /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/u, code.toString(16));
  }
});
