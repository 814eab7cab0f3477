// For tests/web/test_form_checker.py: reads [schema, value] pairs from stdin, writes whether each value fits.

import { readFileSync } from "node:fs";
import { Checker } from "../../src/forms/check";
import { schemaOf } from "../../src/forms/schema_shapes";
import { EN } from "../../src/forms/words_en";
import { isArray, type Json, parse } from "../../src/json/exact";

const cases = parse(readFileSync(0, "utf8"));
const fits = (pair: Json) => {
  const [schema = true, value = null] = isArray(pair) ? pair : [];
  return new Checker(schemaOf(schema), EN).violations(schema, value).length === 0;
};
console.log(JSON.stringify(isArray(cases) ? cases.map(fits) : []));
