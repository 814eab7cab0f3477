// Chooses the view for a media type. An unknown type is shown as plain text.

export type PartView =
  | { readonly kind: "markdown" | "diff" | "json" | "image" | "text" }
  | { readonly kind: "code"; readonly language: string };

const KINDS: ReadonlyMap<string, "markdown" | "diff" | "json" | "text"> = new Map([
  ["", "text"],
  ["text/plain", "text"],
  ["text/markdown", "markdown"],
  ["text/x-markdown", "markdown"],
  ["text/x-diff", "diff"],
  ["text/x-patch", "diff"],
  ["application/json", "json"],
]);

/** Languages by the subtype of a media type, without `x-`. */
const LANGUAGES: ReadonlyMap<string, string> = new Map([
  ["python", "python"],
  ["javascript", "javascript"],
  ["ecmascript", "javascript"],
  ["typescript", "typescript"],
  ["sql", "sql"],
  ["yaml", "yaml"],
  ["toml", "ini"],
  ["ini", "ini"],
  ["sh", "bash"],
  ["shellscript", "bash"],
  ["bash", "bash"],
  ["html", "xml"],
  ["xml", "xml"],
  ["css", "css"],
  ["go", "go"],
  ["rust", "rust"],
  ["java", "java"],
]);

export function viewOf(mediaType: string): PartView {
  const type = (mediaType.split(";")[0] ?? "").trim().toLowerCase();
  const kind = KINDS.get(type);
  if (kind !== undefined) return { kind };
  if (type.endsWith("+json")) return { kind: "json" };
  if (type.startsWith("image/") && type !== "image/svg+xml") return { kind: "image" };
  const language = LANGUAGES.get(/^(?:text|application)\/(?:x-)?(.+)$/.exec(type)?.[1] ?? "");
  if (language !== undefined) return { kind: "code", language };
  return type.endsWith("+xml") ? { kind: "code", language: "xml" } : { kind: "text" };
}
