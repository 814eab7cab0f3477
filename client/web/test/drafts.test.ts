import assert from "node:assert/strict";
import { test } from "node:test";
import { IDBFactory } from "fake-indexeddb";
import { IndexedDrafts } from "../src/model/draft_database";
import { type DraftDatabase, type DraftRecord, DraftStore } from "../src/model/draft_store";
import type { Draft } from "../src/model/drafts";
import { FakeClock, settle } from "./support/clock";
import { FakeStore } from "./support/stores";

const DAY_MS = 24 * 3600 * 1000;

function draft(comment: string): Draft {
  return { values: '{"amount":9007199254740993}', comment, edits: {}, revision: 1, version: "4" };
}

/** A database with room for some records. */
class Small implements DraftDatabase {
  readonly records = new Map<string, DraftRecord>();
  room = 1000;
  writes = 0;

  async get(key: string) {
    return this.records.get(key);
  }

  async put(record: DraftRecord) {
    this.writes += 1;
    if (!this.records.has(record.key) && this.records.size >= this.room) {
      throw new Error("QuotaExceededError");
    }
    this.records.set(record.key, record);
  }

  async remove(keys: readonly string[]) {
    for (const key of keys) {
      this.records.delete(key);
    }
  }

  async ofOwner(owner: string) {
    return [...this.records.values()]
      .filter((each) => each.owner === owner)
      .sort((a, b) => a.savedAt - b.savedAt);
  }
}

function setup(
  database: DraftDatabase = new Small(),
  subject = "ana",
  clock = new FakeClock(),
  tab = "one",
  store = new FakeStore(),
) {
  const drafts = new DraftStore({ clock, database, store, server: "s", subject, tab });
  return { clock, drafts };
}

test("saved 300 ms after the last key, exactly, and read back by another page", async () => {
  const database = new Small();
  const { clock, drafts } = setup(database);
  drafts.save("p", draft("h"));
  await clock.advance(200);
  drafts.save("p", draft("hello"));
  await clock.advance(200);
  assert.equal(database.writes, 0);
  assert.equal((await drafts.load("p"))?.comment, "hello", "what waits is read too");
  await clock.advance(200);
  assert.equal(database.writes, 1);
  const loaded = await setup(database).drafts.load("p");
  assert.deepEqual(loaded, { ...draft("hello"), savedAt: loaded?.savedAt });
});

test("pagehide writes at once", async () => {
  const database = new Small();
  const { drafts } = setup(database);
  drafts.save("p", draft("a"));
  drafts.save("q", draft("b"));
  drafts.flush();
  await settle();
  assert.equal(database.writes, 2);
});

test("what waits when the page is left is written at once, though old drafts are still looked for", async () => {
  class Slow extends Small {
    override ofOwner(): Promise<DraftRecord[]> {
      return new Promise(() => {});
    }
  }
  const database = new Slow();
  const { drafts } = setup(database);
  drafts.save("p", draft("a"));
  drafts.flush();
  await settle();
  assert.equal(database.writes, 1);
});

/** A browser that has not opened the database yet. */
class Opening extends Small {
  override put(): Promise<void> {
    return new Promise(() => {});
  }
}

test("what waits when the page is left before its database is open comes back with the tab", async () => {
  const store = new FakeStore();
  const { drafts } = setup(new Opening(), "ana", new FakeClock(), "one", store);
  drafts.save("p", draft("a"));
  drafts.flush();
  const database = new Small();
  const reloaded = setup(database, "ana", new FakeClock(), "one", store).drafts;
  assert.equal((await reloaded.load("p"))?.comment, "a");
  await settle();
  assert.deepEqual([database.records.size, store.entries.size], [1, 0], "moved to the database");
});

test("what is not yet in the database goes with its answer, at sign-out, and when another person signs in", async () => {
  const ends: [string, (drafts: DraftStore, store: FakeStore) => unknown][] = [
    ["answered", (drafts) => drafts.remove("p")],
    ["discarded", (drafts) => drafts.discard("p")],
    ["signed out", (drafts) => drafts.clear()],
    ["another person", (_, store) => setup(new Small(), "ben", new FakeClock(), "one", store)],
  ];
  for (const [name, end] of ends) {
    const store = new FakeStore();
    const { drafts } = setup(new Opening(), "ana", new FakeClock(), "one", store);
    drafts.save("p", draft("a"));
    drafts.flush();
    assert.equal(store.entries.size, 1);
    void end(drafts, store);
    assert.equal(store.entries.size, 0, name);
  }
});

test("a newer text is not lost to the write of an older one, and damaged records are dropped", async () => {
  const store = new FakeStore([
    ["askback.draft.x", "{"],
    ["askback.draft.y", '{"owner":"[\\"s\\",\\"ana\\"]","promptId":"other"}'],
  ]);
  let write = () => {};
  class Slow extends Small {
    override async put(record: DraftRecord) {
      await new Promise<void>((resolve) => (write = resolve));
      await super.put(record);
    }
  }
  const { drafts } = setup(new Slow(), "ana", new FakeClock(), "one", store);
  assert.equal(store.entries.size, 0);
  drafts.save("p", draft("older"));
  drafts.flush();
  await settle();
  drafts.save("p", draft("newer"));
  drafts.flush();
  write();
  await settle();
  const reloaded = setup(new Small(), "ana", new FakeClock(), "one", store).drafts;
  assert.equal((await reloaded.load("p"))?.comment, "newer");
});

test("drafts belong to a person and a prompt", async () => {
  const database = new Small();
  const ana = setup(database);
  ana.drafts.save("p", draft("secret plan"));
  ana.drafts.flush();
  await settle();
  assert.equal(await setup(database, "ben").drafts.load("p"), null);
  assert.equal(await ana.drafts.load("q"), null);
});

test("an accepted answer removes the draft, also one that still waits to be written", async () => {
  const database = new Small();
  const { clock, drafts } = setup(database);
  drafts.save("p", draft("a"));
  drafts.flush();
  drafts.save("p", draft("b"));
  await drafts.remove("p");
  await clock.advance(1000);
  assert.deepEqual([database.records.size, await drafts.load("p")], [0, null]);
});

test("the text of one tab is not touched by another tab with the same prompt", async () => {
  const database = new Small();
  const clock = new FakeClock();
  const [one, two] = [setup(database, "ana", clock), setup(database, "ana", clock, "two")];
  const newer = () => setup(database, "ana", clock, "three").drafts.load("p");
  one.drafts.save("p", draft("of one"));
  await clock.advance(400);
  two.drafts.save("p", draft("of two"));
  await clock.advance(400);
  assert.equal((await setup(database, "ana", clock).drafts.load("p"))?.comment, "of one", "after a reload");
  assert.equal((await newer())?.comment, "of two", "a new tab gets the newest");
  assert.deepEqual(await one.drafts.list(), ["p"]);
  await two.drafts.discard("p");
  assert.equal((await newer())?.comment, "of one");
  await two.drafts.remove("p");
  assert.equal(database.records.size, 0, "an accepted answer removes the drafts of all tabs");
});

test("text of another tab that was taken over and thrown away does not come back", async () => {
  const database = new Small();
  const clock = new FakeClock();
  const one = setup(database, "ana", clock);
  one.drafts.save("p", draft("of one"));
  await clock.advance(400);
  const two = setup(database, "ana", clock, "two");
  assert.equal((await two.drafts.load("p"))?.comment, "of one");
  await two.drafts.discard("p");
  for (const tab of ["two", "three"]) {
    const later = setup(database, "ana", clock, tab);
    assert.equal(await later.drafts.load("p"), null, tab);
    assert.deepEqual(await later.drafts.list(), [], tab);
  }
  assert.equal(
    (await setup(database, "ana", clock).drafts.load("p"))?.comment,
    "of one",
    "it is still there",
  );
});

test("sign-out deletes the drafts of this person only", async () => {
  const database = new Small();
  const [ana, ben] = [setup(database), setup(database, "ben")];
  ana.drafts.save("p", draft("a"));
  ana.drafts.save("q", draft("a"));
  ben.drafts.save("p", draft("b"));
  ben.drafts.flush();
  assert.deepEqual([...(await ana.drafts.list())].sort(), ["p", "q"]);
  await ana.drafts.clear();
  assert.deepEqual(
    [...database.records.values()].map(({ promptId, draft }) => [promptId, draft?.comment]),
    [["p", "b"]],
  );
});

test("full storage: own oldest drafts make room; if that does not help it is said, and the next write is tried", async () => {
  const database = new Small();
  const { clock, drafts } = setup(database);
  for (let number = 0; number < 8; number += 1) {
    drafts.save(`p${number}`, draft("x"));
    await clock.advance(400);
  }
  database.room = 8;
  drafts.save("new", draft("y"));
  await clock.advance(400);
  assert.deepEqual(await drafts.list(), ["p5", "p6", "p7", "new"]);
  assert.equal(drafts.status.value, "ok");

  database.room = 0;
  drafts.save("more", draft("z"));
  await clock.advance(400);
  assert.equal(drafts.status.value, "full");
  database.room = 1000;
  drafts.save("more", draft("zz"));
  await clock.advance(400);
  assert.equal(drafts.status.value, "ok");
  assert.equal((await drafts.load("more"))?.comment, "zz");
});

test("a draft over 200 kB is not saved, and that is said", async () => {
  const { clock, drafts } = setup();
  drafts.save("p", draft("x".repeat(200_000)));
  await clock.advance(400);
  assert.equal(drafts.status.value, "too_large");
  drafts.save("p", draft("x"));
  await clock.advance(400);
  assert.equal(drafts.status.value, "ok");
});

test("drafts older than 14 days go", async () => {
  const database = new Small();
  const { clock, drafts } = setup(database);
  drafts.save("old", draft("x"));
  await clock.advance(13 * DAY_MS);
  drafts.save("newer", draft("y"));
  await clock.advance(2 * DAY_MS);
  const later = setup(database, "ana", clock);
  await settle();
  assert.deepEqual(await later.drafts.list(), ["newer"]);
  assert.equal(database.records.size, 1);
});

test("with a database that is forbidden the drafts stay in their tab", async () => {
  const forbidden = async () => {
    throw new Error("SecurityError");
  };
  const database = { get: forbidden, put: forbidden, remove: forbidden, ofOwner: forbidden };
  const store = new FakeStore();
  const { clock, drafts } = setup(database, "ana", new FakeClock(), "one", store);
  await settle();
  assert.equal(drafts.status.value, "full");
  drafts.save("p", draft("x"));
  await clock.advance(400);
  assert.equal((await drafts.load("p"))?.comment, "x");
  // A reload makes a new page with the storage of the tab.
  const reloaded = setup(database, "ana", clock, "one", store).drafts;
  assert.equal((await reloaded.load("p"))?.comment, "x");
  assert.equal(await reloaded.load("q"), null);
  await reloaded.remove("p");
  assert.equal(await reloaded.load("p"), null);
  await drafts.clear();
  assert.deepEqual(await drafts.list(), []);
});

test("IndexedDB: the same store, and a connection that the browser ends is opened again", async () => {
  const factory = new IDBFactory();
  const database = new IndexedDrafts(factory);
  const { drafts } = setup(database);
  drafts.save("p", draft("ü"));
  drafts.save("q", draft("y"));
  assert.deepEqual([...(await drafts.list())].sort(), ["p", "q"]);
  await drafts.remove("q");
  const other = setup(new IndexedDrafts(factory));
  assert.equal((await other.drafts.load("p"))?.comment, "ü");
  // Another page deletes the database: the connections get `versionchange` and must give way.
  await new Promise((resolve, reject) => {
    const request = factory.deleteDatabase("askback-drafts");
    request.onsuccess = resolve;
    request.onerror = reject;
  });
  drafts.save("p", draft("again"));
  assert.deepEqual(await drafts.list(), ["p"]);
});
