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
// same folder.
//
// # Contexts
//
// A keyring may ask the user for permission, wait for a collection to be unlocked
// that nobody can unlock, or not answer at all, and cannot be told to stop. A caller
// whose context ends goes on all the same, with [CodeCanceled], and so does one after
// Config.Timeout, with [CodeUnavailable]. An access that hangs keeps a goroutine; one
// store has four of them at most, and further callers wait for those.
//
// # The client's own entry
//
// A client that is told to (cli_auth_credentials_store = "keyring") keeps the whole of
// its auth.json in the keyring. [ClientCredentials] reads the sign-in from there, and
// writes nothing; the agent's identity goes into an entry of ours.
package keyringstore
