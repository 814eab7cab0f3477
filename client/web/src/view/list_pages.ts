// The pages of a long list: rows that are laid out together. A page keeps its place in the document while rows come
// and go elsewhere, so one new row among 10,000 changes one page.

export interface ListPage {
  readonly key: number;
  readonly ids: readonly string[];
}

let lastKey = 0;

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((id, index) => id === other[index]);
}

/**
 * The ids in pages of about `size`, each from a quarter of it to twice as many (the last one may have fewer).
 *
 * A page begins where a page of `before` began, unless it would be too small or too large. It is the same object if
 * nothing in it has changed, and has the key of the first page of `before` that its rows were in.
 */
export function pagesOf(
  ids: readonly string[],
  before: readonly ListPage[],
  size: number,
): readonly ListPage[] {
  const pageOf = new Map<string, ListPage>();
  for (const page of before) for (const id of page.ids) pageOf.set(id, page);
  const parts: string[][] = [];
  let part: string[] = [];
  for (const id of ids) {
    const begins = pageOf.get(id)?.ids[0] === id;
    const isFull = part.length >= (begins ? size / 4 : pageOf.has(id) ? size * 2 : size);
    if (isFull || parts.length === 0) {
      part = [];
      parts.push(part);
    }
    part.push(id);
  }
  const taken = new Set<number>();
  return parts.map((own) => {
    const old = own.map((id) => pageOf.get(id)).find((page) => page !== undefined && !taken.has(page.key));
    if (old !== undefined) taken.add(old.key);
    if (old !== undefined && isSame(old.ids, own)) return old;
    lastKey += 1;
    return { key: old?.key ?? lastKey, ids: own };
  });
}
