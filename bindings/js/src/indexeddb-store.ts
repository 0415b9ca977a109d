import { limited, orAborted } from "./abort.js";
import { type AgentAssertError, codes, failure, isOurs } from "./errors.js";
import { recordChanged } from "./memory-store.js";
import { own } from "./own.js";
import { isSameRecord, type Store } from "./store.js";

/** The one table of the database: records by slot. */
const table = "records";
/** The version of the database's form. */
const version = 1;
/** Longer than any host holds a lock, which is 250 s; in milliseconds. */
const lockTimeout = 270_000;

/**
 * Returns a store that keeps records in a browser, in the IndexedDB database with
 * that name: for all pages and workers of one origin, until the user clears the
 * site's data. A browser that runs out of room may do that too, unless
 * navigator.storage.persist() has asked it not to; the agent then registers anew.
 * Every script of the origin can read the database, and the private key in it.
 *
 * Each slot's lock is a Web Lock, "agentassert/", the database's name, a slash and the
 * slot. It ends with the page that holds it, and what that page had not saved by then
 * leaves no trace. Who has waited for it for 270 s gives up.
 *
 * It does not know who is signed in: a manager needs credentials beside it. Its
 * methods can be called at the same time, and while they wait they reject with the
 * signal's reason. A save that has begun is finished.
 *
 * Errors: invalid_manager_config, at once, where the browser lacks what it takes;
 * later, in its methods, store_failed and record_changed.
 */
export function indexedDBStore(name = "agentassert"): Store {
  // Types say that every browser has both, and that this is one.
  const { indexedDB: factory, navigator: browser } = globalThis as unknown as {
    indexedDB?: IDBFactory;
    navigator?: { locks?: LockManager };
  };
  const locks = browser?.locks;
  if (typeof name !== "string" || name === "") {
    throw failure(codes.invalidManagerConfig, "an IndexedDB store's name is a string, and not empty");
  }
  if (!factory) {
    throw failure(
      codes.invalidManagerConfig,
      "there is no indexedDB here; in Node use fileStore, elsewhere memoryStore",
    );
  }
  if (!locks) {
    throw failure(
      codes.invalidManagerConfig,
      "there is no navigator.locks here: Web Locks need a secure context; serve the page over https, or from localhost",
    );
  }

  /** Has one transaction done, and returns its result once it is complete. */
  const transact = async <T>(
    access: IDBTransactionMode,
    signal: AbortSignal,
    request: (records: IDBObjectStore) => IDBRequest<T>,
  ): Promise<T> => {
    try {
      const database = await orAborted(open(factory, name, signal), signal);
      try {
        return await complete(database, access, request);
      } finally {
        database.close();
      }
    } catch (error) {
      throw error === signal.reason ? error : storeFailed(error);
    }
  };

  return {
    load: async (slot, { signal }) => {
      const record: unknown = await transact("readonly", signal, (records) => records.get(slot));
      if (record !== undefined && !(record instanceof Uint8Array)) {
        throw failure(codes.storeFailed, `the database ${name} is not agentassert's; use another name`);
      }
      return record;
    },
    save: async (slot, record, { signal }) => {
      // A copy: the whole buffer that a view is of would be stored.
      await transact("readwrite", signal, (records) => records.put(record.slice(), slot));
    },
    delete: async (slot, { signal }) => {
      await transact("readwrite", signal, (records) => records.delete(slot));
    },
    swap: async (slot, expected, record, { signal }) => {
      const stored: unknown = await transact("readwrite", signal, (records) => {
        // A transaction of this kind has the table to itself.
        const request: IDBRequest<unknown> = records.get(slot);
        request.onsuccess = () => {
          if (isExpected(request.result, expected)) {
            if (record) {
              records.put(record.slice(), slot);
            } else {
              records.delete(slot);
            }
          }
        };
        return request;
      });
      if (!isExpected(stored, expected)) {
        throw recordChanged();
      }
    },
    lock: async (slot, { signal }) => {
      try {
        return await limited(signal, lockTimeout, (signal) =>
          hold(locks, `agentassert/${name}/${slot}`, signal),
        );
      } catch (error) {
        throw error === signal.reason ? error : storeFailed(error);
      }
    },
  };
}

/** Reports whether what a table has is the record that is to be replaced. */
function isExpected(stored: unknown, expected: Uint8Array | undefined): boolean {
  return (stored === undefined || stored instanceof Uint8Array) && isSameRecord(stored, expected);
}

/**
 * Opens the database. A connection serves one transaction: it is in nobody's way
 * when a later version, or who clears the site's data, wants the database.
 */
function open(factory: IDBFactory, name: string, signal: AbortSignal): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = factory.open(name, version);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(table);
    };
    request.onsuccess = () => {
      const database = request.result;
      database.onversionchange = () => {
        database.close();
      };
      if (signal.aborted) {
        database.close(); // nobody waits for it any more
      }
      resolve(database);
    };
    request.onerror = () => {
      reject(request.error ?? new Error("the database cannot be opened"));
    };
  });
}

/** Waits until a transaction is complete, and on the disk. */
function complete<T>(
  database: IDBDatabase,
  access: IDBTransactionMode,
  work: (records: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(table, access, own({ durability: "strict" }));
    const request = work(transaction.objectStore(table));
    transaction.oncomplete = () => {
      resolve(request.result);
    };
    transaction.onabort = () => {
      reject(transaction.error ?? new Error("the browser ended the transaction"));
    };
  });
}

/** Waits for a Web Lock, and returns what gives it back. Rejects with the signal's reason. */
function hold(locks: LockManager, name: string, signal: AbortSignal): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const held = () =>
      new Promise<void>((unlock) => {
        resolve(unlock);
      });
    locks.request(name, own({ signal }), held).catch((error: unknown) => {
      reject((signal.aborted ? signal.reason : error) as Error); // older browsers have a reason of their own
    });
  });
}

function storeFailed(error: unknown): AgentAssertError {
  if (isOurs(error)) {
    return error;
  }
  return failure(codes.storeFailed, reason(error), error);
}

/** Says what a browser's error means, and what to do. */
function reason(error: unknown): string {
  switch (error instanceof DOMException ? error.name : "") {
    case "QuotaExceededError":
      return "the browser has no room for this site's data; free some, then try again";
    case "VersionError":
      return "a later version of this package has changed the database; reload this page";
    case "NotFoundError":
      return "the database with that name is not agentassert's; use another name";
    case "TimeoutError":
      return "another page of this site holds the lock for too long; close it, or reload it";
    default:
      return "the browser does not keep this site's data, as in private windows or where the user forbids it; allow it, or use memoryStore";
  }
}
