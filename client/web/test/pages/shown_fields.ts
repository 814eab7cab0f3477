// For tests/web/test_shown_fields.py: reads [schema, values] pairs from stdin, writes the name of each field that the
// page shows for the values, and whether it is required.

import { readFileSync } from "node:fs";
import { makeForm } from "../../src/forms/form";
import { GroupNode } from "../../src/forms/group_node";
import { format, isArray, type Json, parse } from "../../src/json/exact";
import { BERLIN } from "../form_support";

function shown(pair: Json): readonly (readonly [string, boolean])[] {
  const [schema = true, values = null] = isArray(pair) ? pair : [];
  const form = makeForm({ schemaJson: format(schema) }, BERLIN);
  form.fill(format(values));
  const { root } = form;
  return root instanceof GroupNode
    ? root.children().map(({ entry }) => [entry.key, entry.required] as const)
    : [];
}

const cases = parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(isArray(cases) ? cases.map(shown) : []));
