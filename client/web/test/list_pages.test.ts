// One new row among many changes one page of the list, whatever the number of rows.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type ListPage, pagesOf } from "../src/view/list_pages.ts";
import { random } from "./random.ts";

const SIZE = 200;

function ids(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `p${index}`);
}

function changed(before: readonly ListPage[], after: readonly ListPage[]): number {
  const old = new Set(before);
  return after.filter((page) => !old.has(page)).length;
}

test("one new row draws at most two pages again, among 100 as among 10,000", () => {
  for (const count of [100, 10_000]) {
    const all = ids(count);
    const before = pagesOf(all, [], SIZE);
    for (const at of [0, 1, Math.floor(count / 2), count - 1, count]) {
      const after = pagesOf(all.toSpliced(at, 0, "new"), before, SIZE);
      assert.ok(changed(before, after) <= 2, `${count} rows, at ${at}: ${changed(before, after)} pages`);
      const keys = new Set(after.map((page) => page.key));
      assert.ok(
        before.every((page) => keys.has(page.key)),
        "a page was made again",
      );
    }
    const removed = pagesOf(all.toSpliced(Math.floor(count / 3), 1), before, SIZE);
    assert.ok(changed(before, removed) <= 2);
  }
});

test("pages keep the order of the rows, their size and different keys, whatever comes and goes", () => {
  const below = random(11);
  let all = ids(2_000);
  let pages = pagesOf(all, [], SIZE);
  for (let step = 0; step < 1_500; step += 1) {
    const before = pages;
    const at = below(all.length);
    all = below(2) === 0 ? all.toSpliced(at, 0, `n${step}`) : all.toSpliced(at, 1);
    pages = pagesOf(all, before, SIZE);
    assert.deepEqual(
      pages.flatMap((page) => page.ids),
      all,
    );
    assert.equal(new Set(pages.map((page) => page.key)).size, pages.length);
    for (const page of pages.slice(0, -1))
      assert.ok(page.ids.length >= SIZE / 4 && page.ids.length <= SIZE * 2.5, String(page.ids.length));
    assert.ok(changed(before, pages) <= 4);
  }
  const other = pagesOf(all.toReversed(), pages, SIZE);
  assert.deepEqual(
    other.flatMap((page) => page.ids),
    all.toReversed(),
  );
});
