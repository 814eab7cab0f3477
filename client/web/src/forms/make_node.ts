import type { Entry } from "./entries";
import { GroupNode } from "./group_node";
import { ItemsNode } from "./items_node";
import { ChoiceNode, MultiNode, TextNode } from "./leaf_nodes";
import type { Ground, Node } from "./node";
import { VariantsNode } from "./variants_node";

export function makeNode(ground: Ground, entry: Entry, parent: Node | undefined): Node {
  switch (entry.type) {
    case "group":
      return new GroupNode(ground, entry, parent);
    case "items":
      return new ItemsNode(ground, entry, parent);
    case "variants":
      return new VariantsNode(ground, entry, parent);
    case "field":
      if (entry.kind === "boolean" || entry.kind === "single") return new ChoiceNode(ground, entry, parent);
      return entry.kind === "multi"
        ? new MultiNode(ground, entry, parent)
        : new TextNode(ground, entry, parent);
  }
}
