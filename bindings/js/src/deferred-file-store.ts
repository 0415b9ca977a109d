import { checkRecord, checkStoreCall } from "./arguments.js";
import { codes, failure, isOurs } from "./errors.js";
import type { FileStore } from "./file-store.js";
import { checkedSettings, type FileStoreOptions, type FileStoreSettings } from "./file-store-settings.js";
import type { Credentials } from "./messages.js";
import type { Store, StoreContext } from "./store.js";

/**
 * Returns a store that keeps the agent identity where the reference client does:
 * in the auth.json at that path, under agent_identity, beside the user's tokens.
 * It knows who is signed in. For Node; the host in Go and the reference client can
 * use the same file at the same time.
 *
 * The file is the client's, in any of its versions, and it is no worse off for being
 * shared. Whatever this package does not own stays as it is, byte for byte: content,
 * owner, mode, access control list and other names. What others write at the same
 * time is not lost. The client's own locks are held for milliseconds, never during a
 * request. All of that the core decides (file.step). The file need not exist.
 *
 * Beside the file there will be more, and all their names begin with its own; where
 * it is a symbolic link, or several are, they are beside what that leads to:
 *
 * - ".lock", and beside it auth.lock, are the client's locks;
 * - ".registration.lock" is held while an identity or a background task is registered,
 *   a file in ".locks" while a thread's task is;
 * - ".backoff" remembers failed registrations, ".backend" which backend an identity
 *   belongs to, ".set-aside" identities that others have taken the place of;
 * - ".threads" has a folder for each month with the tasks of the threads that were last
 *   used in it, in files named after the SHA-256 of the thread's id; what was not used
 *   for 90 days goes;
 * - ".journal" is there while the file is written over, where it cannot be replaced;
 * - ".identity" is there instead of all writing to the file, if the identity is kept
 *   beside it.
 *
 * They belong to whom the file belongs to, and only who can read and write the file
 * can read and write them.
 *
 * Its methods can be called at the same time. A write that has begun is finished,
 * whatever the signal says.
 *
 * Errors: invalid_manager_config, at once; later, in its methods, store_read_only,
 * record_changed, auth_file_unreadable, auth_file_folder, auth_file_not_regular,
 * auth_file_locked, auth_file_lock_unavailable, auth_file_write_failed,
 * auth_file_busy, invalid_auth_json, auth_json_byte_order_mark, auth_json_utf16,
 * invalid_record. Credentials that are none say why in their problem:
 * auth_file_missing, auth_file_tilde, auth_file_keyring, and what the core finds in
 * the file.
 */
export function fileStore(path: string, options: FileStoreOptions = {}): Store {
  return new DeferredFileStore(checkedSettings(path, options));
}

/** The store, whose code is loaded when it is first used: who has another one, or none, does not wait for it. */
class DeferredFileStore implements Store {
  readonly #settings: FileStoreSettings;
  #loading: Promise<FileStore> | undefined;

  constructor(settings: FileStoreSettings) {
    this.#settings = settings;
  }

  async credentials(context: StoreContext): Promise<Credentials> {
    checkStoreCall("identity", context);
    return this.#have((store) => store.credentials(context), context);
  }

  async load(slot: string, context: StoreContext): Promise<Uint8Array | undefined> {
    checkStoreCall(slot, context);
    return this.#have((store) => store.load(slot, context), context);
  }

  async save(slot: string, record: Uint8Array, context: StoreContext): Promise<void> {
    checkStoreCall(slot, context);
    checkRecord(record);
    return this.#have((store) => store.save(slot, record, context), context);
  }

  async delete(slot: string, context: StoreContext): Promise<void> {
    checkStoreCall(slot, context);
    return this.#have((store) => store.delete(slot, context), context);
  }

  async swap(
    slot: string,
    expected: Uint8Array | undefined,
    record: Uint8Array | undefined,
    context: StoreContext,
  ): Promise<void> {
    checkStoreCall(slot, context);
    for (const given of [expected, record].filter((one) => one !== undefined)) {
      checkRecord(given);
    }
    return this.#have((store) => store.swap(slot, expected, record, context), context);
  }

  async probe(slot: string, context: StoreContext): Promise<void> {
    checkStoreCall(slot, context);
    return this.#have((store) => store.probe(slot, context), context);
  }

  async lock(slot: string, context: StoreContext): Promise<() => Promise<void>> {
    checkStoreCall(slot, context);
    return this.#have((store) => store.lock(slot, context), context);
  }

  /** Has the store do something. What it throws is one of ours, or the reason for which nobody waits any more. */
  async #have<T>(work: (store: FileStore) => Promise<T>, { signal }: StoreContext): Promise<T> {
    const store = await this.#store();
    try {
      return await work(store);
    } catch (error) {
      throw isOurs(error) || signal.aborted ? error : failure(codes.storeFailed, "the store failed", error);
    }
  }

  #store(): Promise<FileStore> {
    this.#loading ??= import("./file-store.js").then(({ FileStore }) => new FileStore(this.#settings));
    return this.#loading;
  }
}
