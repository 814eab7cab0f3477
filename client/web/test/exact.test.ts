import assert from "node:assert/strict";
import { test } from "node:test";
import { format, type Json, JsonError, Num, parse } from "../src/json/exact";
import { random, randomText } from "./random";

function failure(text: string): JsonError {
  try {
    parse(text);
  } catch (error) {
    assert.ok(error instanceof JsonError);
    return error;
  }
  assert.fail(`no error for ${text}`);
}

test("numbers keep every character", () => {
  for (const text of [
    "9007199254740993",
    "-0",
    "1.50",
    "1E+400",
    "0.1000000000000000055511151231257827",
    "18446744073709551615",
  ]) {
    const value = parse(text);
    assert.ok(value instanceof Num);
    assert.equal(value.text, text);
    assert.equal(format(value), text);
  }
});

test("names keep their order, also those that look like integers", () => {
  const text = '{"b":1,"10":2,"2":3,"a":{"1":[],"0":{}},"__proto__":4,"constructor":null}';
  assert.equal(format(parse(text)), text);
  assert.equal(({} as Record<string, unknown>)["1"], undefined);
});

test("an error says where it is", () => {
  const cases: [string, string, number, number][] = [
    ["", "value_expected", 1, 1],
    ["{", "name_expected", 1, 2],
    ['{"a": 1,\n  "b" 2}', "colon_expected", 2, 7],
    ['{"a": 1,\r\n}', "name_expected", 2, 1],
    ['{"a":1 "b":2}', "comma_expected", 1, 8],
    ["[1,]", "value_expected", 1, 4],
    ["[1", "comma_expected", 1, 3],
    ["1 2", "end_expected", 1, 3],
    ["01", "bad_number", 1, 1],
    ["[1.]", "bad_number", 1, 2],
    ["+1", "bad_number", 1, 1],
    ["NaN", "value_expected", 1, 1],
    ["nul", "value_expected", 1, 1],
    ["truest", "end_expected", 1, 5],
    ['"\\x"', "bad_string", 1, 2],
    ['"a\nb"', "bad_string", 1, 3],
    ['["😀", "', "string_not_closed", 1, 7],
    ['{"a":1,"a":2}', "name_twice", 1, 8],
    ["[".repeat(600), "too_deep", 1, 502],
  ];
  for (const [text, fault, line, column] of cases) {
    const { fault: found, line: l, column: c } = failure(text);
    assert.deepEqual([found, l, c], [fault, line, column], text);
  }
});

test("an indented text is the same value", () => {
  const value = parse('{"a":[1,{"b":[]}],"c":{},"d":"x\\ny"}');
  assert.equal(
    format(value, 2),
    '{\n  "a": [\n    1,\n    {\n      "b": []\n    }\n  ],\n  "c": {},\n  "d": "x\\ny"\n}',
  );
  assert.equal(format(parse(format(value, 2))), format(value));
});

test("a string of 5 MB is read", () => {
  const text = JSON.stringify('a"'.repeat(2_500_000));
  assert.equal(format(parse(text)), text);
});

test("any JSON text is the same text after reading and writing", () => {
  for (let seed = 1; seed <= 3000; seed += 1) {
    const text = randomText(random(seed), 0);
    const value: Json = parse(text);
    assert.equal(format(value), text, `seed ${seed}`);
    assert.equal(format(parse(format(value, 2))), text, `seed ${seed}`);
  }
});
