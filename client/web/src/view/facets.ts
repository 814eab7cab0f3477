import type { Row } from "../model/inbox";
import { isOpen } from "./prompt_facts";

interface Facets {
  readonly kinds: readonly string[];
  readonly types: readonly string[];
  readonly labels: readonly string[];
  readonly labelNames: readonly string[];
}

/** What the filters offer: the kinds, job types and labels of the open prompts. */
export function facets(all: Iterable<Row>): Facets {
  const kinds = new Set<string>();
  const types = new Set<string>();
  const labels = new Set<string>();
  const names = new Set<string>();
  for (const row of all) {
    if (!isOpen(row)) continue;
    kinds.add(row.prompt.content?.kind ?? "");
    types.add(row.prompt.jobType ?? "");
    for (const [name, value] of Object.entries(row.prompt.content?.labels ?? {})) {
      names.add(name);
      labels.add(`${name}=${value}`);
    }
  }
  const sorted = (values: Set<string>) => [...values].filter((text) => text !== "").sort();
  return {
    kinds: sorted(kinds),
    types: sorted(types),
    labels: sorted(labels).slice(0, 200),
    labelNames: sorted(names),
  };
}
