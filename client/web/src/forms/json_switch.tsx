import type { JSX } from "preact";
import type { CompositeNode } from "./composite_node";
import { useWords } from "./frame";
import type { Node } from "./node";

function hasSecret(node: Node): boolean {
  return (node.entry.type === "field" && node.entry.secret) || node.children().some(hasSecret);
}

/** Between fields and JSON text. A secret would be readable as text. */
export function JsonSwitch({ node }: { readonly node: CompositeNode }): JSX.Element | null {
  const words = useWords();
  if (hasSecret(node)) return null;
  const label = node.json ? words.asForm : words.asJson;
  const change = () => {
    if (!node.json) node.editAsJson();
    else if (!node.editAsForm()) node.json.visited.value = true;
  };
  return (
    <button type="button" class="form-switch" aria-label={`${label}: ${node.entry.title}`} onClick={change}>
      {label}
    </button>
  );
}
