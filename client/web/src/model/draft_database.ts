import type { DraftDatabase, DraftRecord } from "./draft_store";

const NAME = "askback-drafts";
const STORE = "drafts";
const BY_OWNER = "owner";

function promised<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function finished(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    // A full disk shows at the end of the transaction, after the request has succeeded.
    transaction.onabort = () => reject(transaction.error);
    transaction.onerror = () => reject(transaction.error);
  });
}

/** Drafts in IndexedDB. */
export class IndexedDrafts implements DraftDatabase {
  readonly #factory: IDBFactory;
  #opened: Promise<IDBDatabase> | null = null;

  constructor(factory: IDBFactory) {
    this.#factory = factory;
  }

  async get(key: string): Promise<DraftRecord | undefined> {
    const database = await this.#open();
    return promised<DraftRecord | undefined>(database.transaction(STORE).objectStore(STORE).get(key));
  }

  async put(record: DraftRecord): Promise<void> {
    await this.#change((store) => store.put(record));
  }

  async remove(keys: readonly string[]): Promise<void> {
    await this.#change((store) => {
      for (const key of keys) {
        store.delete(key);
      }
    });
  }

  async ofOwner(owner: string): Promise<readonly DraftRecord[]> {
    const database = await this.#open();
    const index = database.transaction(STORE).objectStore(STORE).index(BY_OWNER);
    const records = await promised<DraftRecord[]>(index.getAll(owner));
    return records.sort((a, b) => a.savedAt - b.savedAt);
  }

  async #change(change: (store: IDBObjectStore) => void): Promise<void> {
    const database = await this.#open();
    const transaction = database.transaction(STORE, "readwrite");
    const done = finished(transaction);
    change(transaction.objectStore(STORE));
    // At once: the browser drops transactions that are still open when a page is left.
    transaction.commit();
    await done;
  }

  #open(): Promise<IDBDatabase> {
    this.#opened ??= this.#request().catch((error: unknown) => {
      this.#opened = null; // The next call tries again.
      throw error;
    });
    return this.#opened;
  }

  async #request(): Promise<IDBDatabase> {
    const request = this.#factory.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(STORE, { keyPath: "key" }).createIndex(BY_OWNER, "owner");
    };
    const database = await promised(request);
    // The browser may end a connection, and another tab may upgrade the database.
    const forget = () => {
      database.close();
      this.#opened = null;
    };
    database.onclose = forget;
    database.onversionchange = forget;
    return database;
  }
}
