// For tests/web/test_page_rights.py: reads [prompt, person] pairs from stdin, writes in whose place the page lets each
// person act, or null, and whether the prompt is one of the person's own.

import { readFileSync } from "node:fs";
import { isMine } from "../../src/view/prompt_facts";
import { type Person, rightOf } from "../../src/view/rights";
import type { Prompt } from "../../src/wire/messages";

const cases: readonly (readonly [Prompt, Person])[] = JSON.parse(readFileSync(0, "utf8"));
const found = cases.map(([prompt, person]) => [
  rightOf(prompt, person)?.holder ?? null,
  isMine(prompt, person.subject ?? "", 0),
]);
console.log(JSON.stringify(found));
