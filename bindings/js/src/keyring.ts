import { credentialsFrom, type KeyringCredentialsOptions } from "./keyring-client.js";
import { checkedKeyringSettings, KeyringStore, type KeyringStoreOptions } from "./keyring-store.js";
import { foreignEntry, SystemKeyring } from "./keyring-system.js";
import type { Credentials } from "./messages.js";
import { own } from "./own.js";
import type { Store } from "./store.js";

export type { KeyringCredentialsOptions } from "./keyring-client.js";
export type { KeyringStoreOptions } from "./keyring-store.js";

/**
 * Returns a store that keeps the agent's identity in the operating system's keyring: the
 * keychain of macOS, the credential manager of Windows, and whatever serves the Secret
 * Service interface elsewhere, such as GNOME Keyring and KWallet. It needs the package
 * @napi-rs/keyring. For Node; the host in Go can use the same items at the same time.
 *
 * It asks the keyring first. A server without a desktop session, a container and a build
 * machine have none: that is keyring_unavailable, and secrets are never put elsewhere. Who
 * wants them in a file then says so.
 *
 * Keyrings have no locks. Files do: those of the store's locks are empty, and in a folder
 * that is by default the user's; processes exclude each other only where they name the same.
 *
 * A keyring may ask the user for permission, wait to be unlocked, or not answer at all, and
 * cannot be told to stop. A caller goes on all the same, when its signal says so or the time
 * is over; a program that ends by itself waits for that question, and one that is ended does
 * not. The library is in a thread of its own, which it does not share with anything.
 *
 * Errors: invalid_manager_config, keyring_unavailable, canceled. Those of its methods:
 * keyring_unavailable, keyring_write_failed, keyring_record_damaged,
 * keyring_record_too_large, keyring_store_locked, keyring_lock_file_failed, canceled,
 * record_changed.
 */
export async function keyringStore(options: KeyringStoreOptions): Promise<Store> {
  const store = new KeyringStore(new SystemKeyring(), checkedKeyringSettings(options));
  const { signal = new AbortController().signal } = own(options);
  await store.check(signal);
  return store;
}

/**
 * Returns, for ManagerOptions.credentials, the sign-in of a reference client that keeps the
 * whole of its auth.json in the system's keyring (cli_auth_credentials_store = "keyring").
 * It writes nothing; the agent's identity goes into an entry of ours.
 *
 * The entry's account is "cli|" and the first 16 hexadecimal digits of the SHA-256 of the
 * home folder's canonical path. On Linux three releases of the client, 0.123.0 to 0.171.0,
 * were seen to write that entry and no other. On macOS and Windows none has been seen.
 *
 * Where the credentials are none that can be used, their problem says why: with
 * keyring_not_signed_in where there is no entry.
 *
 * Errors: invalid_manager_config; and those of the function: keyring_unavailable,
 * keyring_record_too_large, and those of credentials.read.
 */
export async function keyringCredentials(
  options: KeyringCredentialsOptions,
): Promise<() => Promise<Credentials>> {
  return credentialsFrom(foreignEntry, options);
}
