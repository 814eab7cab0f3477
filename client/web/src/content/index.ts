// Components that show content. They depend on their props only, and create no HTML from text.

export { DiffView } from "./diff";
export { JsonTree } from "./json_tree";
export { Markdown } from "./markdown";
export { PartView } from "./part";
export { Plain } from "./plain";
export { useSeen } from "./use_seen";
