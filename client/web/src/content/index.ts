// Components that show content. They depend on their props only, and create no HTML from text.

export { Code } from "./code";
export { DiffView, UnifiedDiff } from "./diff";
export type { DiffLayout } from "./diff_view";
export { JsonTree } from "./json_tree";
export { OutLink } from "./link";
export { safeLink, webLink } from "./links";
export { LongText } from "./long_text";
export { Markdown } from "./markdown";
export { PartView } from "./part";
export { Pieces, Plain } from "./plain";
export { type Seen, useSeen } from "./use_seen";
export { visibleText } from "./visible";
