import type { JSX } from "preact";
import { Plain } from "../content";
import type { CompositeNode } from "./composite_node";
import { useWords } from "./frame";
import { hasSecret } from "./schema_shapes";

/** Between fields and JSON text. A secret would be readable as text. */
export function JsonSwitch({ node }: { readonly node: CompositeNode }): JSX.Element | null {
  const words = useWords();
  if (hasSecret(node.entry.schema, node.ground.schema)) return null;
  const label = node.json ? words.asForm : words.asJson;
  const change = () => {
    if (!node.json) node.editAsJson();
    else if (!node.editAsForm()) node.json.visited.value = true;
  };
  return (
    <button type="button" class="form-button form-switch" onClick={change}>
      {label}: <Plain text={node.entry.title} />
    </button>
  );
}
