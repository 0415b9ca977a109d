// Package keyringstore keeps records in the operating system's keyring: the
// keychain of macOS, the credential manager of Windows, and whatever serves the
// Secret Service interface elsewhere, such as GNOME Keyring and KWallet.
//
// # Where there is no keyring
//
// [Open] asks the keyring before it returns. A server without a desktop
// session, a container and a build machine have none: Open then fails with
// [CodeUnavailable]. It never puts secrets elsewhere on its own. The caller
// decides, and the example shows one who takes package authfile instead.
//
// # What is in the keyring
//
// Keyrings take small values only: 2,560 bytes on Windows, some 3,000 on macOS.
// So a slot has one item, the head, which holds the record or its beginning, and
// parts for the rest. A head that lists its parts names their generation, a or
// b. Saving writes the parts under the other generation first, then replaces
// the head, then removes the old parts. The head alone decides: a process that
// dies on the way leaves the old record or the new one, and what it left behind
// of the other is overwritten or removed when the slot is saved or deleted next.
//
// Items are named after the account and a hash of service, account and slot,
// because keyrings differ in which names they take, and Windows ignores case.
//
// # Locks
//
// Keyrings have no locks. Files do: the locks of [Store.Lock], one for each slot, and
// a short one for each write are empty files in a folder, by default in the user's
// configuration folder. Processes exclude each other only where they name the
// same folder. A slot's name is in that of its file as a hash. The files of other
// slots than the identity's are removed when the lock is given back.
//
// # Contexts
//
// A keyring may ask the user for permission, wait for a collection to be unlocked
// that nobody can unlock, or not answer at all, and cannot be told to stop. A caller
// whose context ends goes on all the same, with [CodeCanceled], and so does one after
// Config.Timeout, with [CodeUnavailable].
//
// An access that hangs keeps a goroutine until the keyring answers. A process has four
// of them at most, and one more for the client's entry; further callers wait for those
// as they would for the keyring. Where it never answers, not even when it is unlocked
// or started anew, the process has to be started anew as well.
//
// A write that hangs keeps the lock of writes, too. It can still happen, and would
// then take the place of what others had written meanwhile: they get [CodeLocked]
// after Config.LockTimeout.
//
// # The client's own entry
//
// A client that is told to (cli_auth_credentials_store = "keyring", or "auto" where
// there is a keyring) keeps the whole of its auth.json in the keyring, and removes the
// file. [ClientCredentials] reads the sign-in from there, and writes nothing; the
// agent's identity goes into an entry of ours. How far the form of the client's entry
// is known, [NewClientCredentials] says.
package keyringstore
