// The text of a rule, read.

/** The object in a JSON text, or what is wrong with the text. The service checks what is in it. */
export function readSpec(text: string): { readonly spec: object } | { readonly problem: string } {
  try {
    const spec: unknown = JSON.parse(text);
    if (typeof spec === "object" && spec !== null && !Array.isArray(spec)) return { spec };
    return { problem: "{ … }" };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}
