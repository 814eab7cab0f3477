import assert from "node:assert/strict";
import { test } from "node:test";
import { compare, isMultiple, isTooLarge, isWhole, spell } from "../src/json/decimal";
import { random } from "./random";

test("numbers are compared by value, without rounding", () => {
  const rising = [
    "-1e999999999999",
    "-2",
    "-1.5",
    "-0.1e-5",
    "0",
    "1e-400",
    "0.5",
    "9007199254740992",
    "9007199254740993",
    "9007199254740993.0000000001",
    "1e400",
  ];
  for (const [i, one] of rising.entries()) {
    for (const [j, other] of rising.entries()) {
      assert.equal(Math.sign(compare(one, other)), Math.sign(i - j), `${one} ${other}`);
    }
  }
  assert.equal(compare("0.5", "5e-1"), 0);
  assert.equal(compare("-0", "0.000"), 0);
  assert.equal(compare("100", "1E2"), 0);
});

test("comparison agrees with integers of any length", () => {
  const below = random(7);
  for (let n = 0; n < 2000; n += 1) {
    const [a, b] = [0, 0].map(
      () => `${below(2) ? "-" : ""}${1 + below(9)}${"0".repeat(below(3))}${below(1000)}`,
    ) as [string, string];
    const expected = BigInt(a) < BigInt(b) ? -1 : BigInt(a) > BigInt(b) ? 1 : 0;
    assert.equal(Math.sign(compare(a, b)), expected, `${a} ${b}`);
  }
});

test("a whole number may be written with a fraction or an exponent", () => {
  for (const text of ["0", "-7", "1.0", "1e2", "1.25e2", "0e-9", "100"]) assert.ok(isWhole(text), text);
  for (const text of ["1.5", "1e-1", "1.25e1", "0.001"]) assert.ok(!isWhole(text), text);
});

test("numbers that no double holds are too large", () => {
  for (const text of ["1e309", "-1e309", "1.8e308", `1${"0".repeat(309)}`]) assert.ok(isTooLarge(text), text);
  for (const text of ["1.7e308", "-1.7976931348623157e308", "0e999", "1e-999", "5"])
    assert.ok(!isTooLarge(text), text);
});

test("multiples are exact", () => {
  assert.equal(isMultiple("0.3", "0.1"), true);
  assert.equal(isMultiple("19.99", "0.01"), true);
  assert.equal(isMultiple("19.995", "0.01"), false);
  assert.equal(isMultiple("-9007199254740994", "2"), true);
  assert.equal(isMultiple("9007199254740993", "2"), false);
  assert.equal(isMultiple("0", "7"), true);
  assert.equal(isMultiple("1e300000", "3"), undefined);
});

test("a typed number becomes a JSON number with the same digits", () => {
  const cases: [string, string][] = [
    ["+5", "5"],
    ["007", "7"],
    ["-0", "-0"],
    ["000", "0"],
    [".5e1", "0.5e1"],
    ["5.", "5.0"],
    ["12.50", "12.50"],
    ["1E+5", "1e+5"],
    ["18446744073709551615", "18446744073709551615"],
    ["18446744073709551616", "18446744073709551616.0"],
    ["-9223372036854775809", "-9223372036854775809.0"],
  ];
  for (const [typed, sent] of cases) assert.equal(spell(typed), sent);
});
