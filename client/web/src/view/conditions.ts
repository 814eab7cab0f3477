// Conditions of filters, as they stand in the address, and as the service takes them.

/** The most conditions of one sort that an address may have; more are ignored. */
const MOST = 20;

type Labels = Readonly<Record<string, string>>;

/** The values that an address has for a name, each once. */
export function valuesOf(params: URLSearchParams, name: string): readonly string[] {
  return [...new Set(params.getAll(name))].filter((text) => text !== "").slice(0, MOST);
}

/** The name and the value of a condition such as `team=refunds`; the value may have a `=` of its own. */
function labelOf(condition: string): readonly [string, string] {
  const cut = condition.indexOf("=");
  return [condition.slice(0, cut), condition.slice(cut + 1)];
}

/** Whether a text is a condition on a label. */
export function isLabelCondition(text: string): boolean {
  return text.indexOf("=") > 0;
}

/** Whether two conditions are about the same label. */
export function isSameLabel(one: string, other: string): boolean {
  return labelOf(one)[0] === labelOf(other)[0];
}

/** The conditions as names and values. */
export function labelsOf(conditions: readonly string[]): Labels {
  return Object.fromEntries(conditions.map(labelOf));
}

/** Whether each condition holds for these labels. */
export function meetsAll(labels: Labels | undefined, conditions: readonly string[]): boolean {
  return conditions.every((condition) => {
    const [name, value] = labelOf(condition);
    return labels?.[name] === value;
  });
}
