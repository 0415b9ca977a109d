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
// [Store.Lock] takes an advisory lock of the session, under a hash of the name,
// on a connection that serves for nothing else. While a store holds the lock,
// all that it saves and deletes goes over that connection. So the server carries
// out a change only in the session that holds the lock: should that session end,
// because PostgreSQL was restarted or the network failed, the change fails with
// [CodeLockLost], and no clock or counter is needed to tell. Another machine may
// hold the lock by then.
//
// The lock ends with its session, thus with its process. Where a machine is lost
// with its network, the server notices within half a minute: the session has TCP
// keep-alives. A pooler in front of PostgreSQL must keep sessions together;
// PgBouncer does in session mode only.
//
// # Contexts
//
// Each access is bounded by Config.Timeout, and ends with its context. A change
// under the lock is the exception: once it is under way it is carried through,
// for giving it up would end the connection, and with it the lock.
package pgstore
