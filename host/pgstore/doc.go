// Package pgstore keeps records in PostgreSQL, for fleets of machines that share
// agent identities.
//
// # What is in the table
//
// One row a record, keyed by the store's name and the slot. Names, slots and
// times are in the clear. Records are sealed with XChaCha20-Poly1305, under a key
// that the operator supplies and that never reaches the database. What is
// authenticated beside a record is its place: the table with its schema, as
// Config.Table has them, the name and the slot. So a row that was changed, or put in
// the place of another, does not open, and neither do those of a table that was
// renamed or moved to another schema. Whoever may write the table can still delete a
// row, or put back an older state of it, and take or end locks.
//
// Which server and which database it is, the seal does not say: those change when a
// backup is restored. Two tables of the same name in two databases are told apart by
// their keys, so give each environment its own.
//
// [Store.Migrate] makes the table, in PostgreSQL 12 or later. It is a call of its
// own because the role that serves often may not: that one needs SELECT, INSERT,
// UPDATE and DELETE. In the schema, nobody else should be able to make tables, for
// whoever makes this one first owns it; before PostgreSQL 15, everybody may in the
// schema public.
//
// # Connections
//
// A connection that leaves the machine has to be encrypted, or the connection string
// has to say that it is not: with sslmode, as [Config] has it. Only verify-full keeps
// out somebody on the way who answers in the server's place. With less, records are
// sealed still, and that somebody can do what one can who may write the table; and
// learns the password by asking for it, unless require_auth=scram-sha-256 is said, too.
//
// All stores of one process that are opened with the same connection string share 4
// connections, or as many as pool_max_conns in it says: a store an account costs none of
// its own. What finds all of them in use waits in a queue, for as long as PostgreSQL
// answers those before it, and so it is where PostgreSQL, or a pooler, has no connection
// left for another process. A connection that nobody uses is given back after 5 s
// (pool_max_conn_idle_time). The connections of all processes together should be fewer
// than the server has (max_connections): what is above that waits for a process that
// needs none of its own for a while, and fails where there is none for Config.Timeout.
//
// # Changing the key
//
// The first key seals, all keys open. So: give every machine the old key and the
// new one, in this order; then the new one and the old one; then call
// [Store.ResealAll], or [Store.Reseal] for each name that has these keys, until it
// succeeds; then give them the new one alone. Nothing has to stand still for that.
//
// # Locks
//
// [Store.Lock] locks a slot. A lock is a row of the same table, under the store's name
// and with a control character in it, which no store's name has: its record is a token
// of the holder, its time the one at which the lock ends. So who may not write the table
// can neither take a lock nor keep others from one. A holder puts that off every
// three seconds, by the server's clock, for all its locks in one statement; a lock thus
// ends 15 s after its process has crashed, its machine was lost, or its network. Those
// who wait ask again, twice a second at the longest.
//
// While a store holds a slot's lock, or for other slots than those of threads the
// identity's, each change of the slot is one statement that also finds the token in the
// lock's row and keeps it there. Should another have taken the lock meanwhile, the
// change fails with [CodeLockLost]. So clocks say only when a lock may be taken from
// somebody who is not heard of, and never whether a change is safe; and a restart of
// PostgreSQL costs no lock.
//
// # Poolers
//
// Nothing here depends on a session: a lock needs no connection while it is held or
// waited for, there are no settings, and statements are not prepared. PgBouncer may have
// pool_mode = session or transaction, and so may the poolers that hosts of PostgreSQL put
// in front of it. With pool_mode = statement, Open fails with [CodePooler]. PgBouncer
// refuses settings in the connection string that it does not know; its
// ignore_startup_parameters lists those to be ignored.
//
// A setting default_query_exec_mode in the connection string has statements prepared, or a
// pool of the caller's own, if it is another one than cache_statement, which is pgx's own
// choice. Behind a pooler, that ends with [CodePooler] unless the pooler takes care of it.
//
// # Contexts
//
// Each access is bounded by Config.Timeout, and ends with its context. The context's
// values are there for a pool's tracer to see.
package pgstore
