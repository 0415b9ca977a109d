// Package pgstore keeps records in PostgreSQL, for fleets of machines that share
// agent identities.
//
// # What is in the table
//
// One row a record, keyed by the store's name and the slot. Names, slots and
// times are in the clear. Records are sealed with XChaCha20-Poly1305, under a key
// that the operator supplies and that never reaches the database. Name and slot
// are part of what is authenticated: a row that was changed, or exchanged for
// another, does not open. Whoever may write the table can still delete a row, or
// put back an older state of it.
//
// [Store.Migrate] makes the table, in PostgreSQL 12 or later. It is a call of its
// own because the role that serves often may not: that one needs SELECT, INSERT,
// UPDATE and DELETE.
//
// # Changing the key
//
// The first key seals, all keys open. So: give every machine the old key and the
// new one, in this order; then the new one and the old one; then call
// [Store.Reseal] once for each name; then give them the new one alone.
//
// # The lock
//
// [Store.Lock] takes an advisory lock, under a hash of the name and the slot, in a
// transaction that stays open on a connection which serves for nothing else. Before a
// store changes a slot whose lock it holds it asks on that connection whether it still
// does: should the transaction have ended, because PostgreSQL was restarted or the
// network failed, the change fails with [CodeLockLost]. Another machine may hold the
// lock by then. What happens between the question and the change is [Store.Swap]'s to
// see.
//
// The lock ends with its transaction, thus with its process. Where a machine is lost
// with its network, the server notices within half a minute: the connection has TCP
// keep-alives. There can be a pooler in front of PostgreSQL, and it can give each
// transaction another session, as PgBouncer does with pool_mode = transaction; put
// default_query_exec_mode=exec into the connection string then ([CodePooler]).
//
// The identity's lock needs one connection, and those of threads, however many, 16 at
// most.
//
// # Contexts
//
// Each access is bounded by Config.Timeout, and ends with its context. A change
// under the lock is the exception: once it is under way it is carried through.
package pgstore
