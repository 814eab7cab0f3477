import assert from "node:assert/strict";
import { test } from "node:test";
import { DRAFT_PREFIX } from "../src/model/draft_journal";
import { STORE_PREFIX } from "../src/model/submissions";
import { claimTab, type TabLocks } from "../src/model/tab";
import { FakeStore } from "./support/stores";

/** The locks of one browser. A page of a tab gives its locks back when it ends. */
class Browser {
  readonly held = new Set<string>();
  /** Locks that are given back while another page waits for them. */
  readonly ending = new Set<string>();

  page(): TabLocks {
    return {
      hold: async (name, waitMs) => {
        if (this.held.has(name) && !(waitMs >= 1000 && this.ending.delete(name))) {
          return false;
        }
        this.held.add(name);
        return true;
      },
    };
  }
}

let ids = 0;
const newId = () => `tab${++ids}`;
const PENDING = `${STORE_PREFIX}p`;

test("a reload keeps the tab's id, and waits for the lock of the page before", async () => {
  const browser = new Browser();
  const store = new FakeStore();
  const id = await claimTab(store, browser.page(), newId);
  store.set(PENDING, "x");
  browser.ending.add(`askback-tab-${id}`);
  assert.equal(await claimTab(store, browser.page(), newId), id);
  assert.equal(store.get(PENDING), "x", "its answer is sent again");
});

test("rule 12: a duplicated tab takes another id and drops the copied answers and drafts", async () => {
  const browser = new Browser();
  const store = new FakeStore();
  const id = await claimTab(store, browser.page(), newId);
  store.set(PENDING, "x");
  store.set(`${DRAFT_PREFIX}p`, "y");
  const copy = store.copy();
  const other = await claimTab(copy, browser.page(), newId);
  assert.notEqual(other, id);
  assert.deepEqual([copy.get(PENDING), store.get(PENDING)], [null, "x"]);
  assert.deepEqual(copy.keys(), ["askback.tab"]);
  assert.equal((await claimTab(store.copy(), browser.page(), newId)) === other, false);
});

test("without Web Locks, and without storage, there is an id all the same", async () => {
  const store = new FakeStore();
  const id = await claimTab(store, null, newId);
  store.set(PENDING, "x");
  assert.equal(await claimTab(store.copy(), null, newId), id);
  store.full = true;
  store.entries.clear();
  assert.ok(await claimTab(store, new Browser().page(), newId));
});
