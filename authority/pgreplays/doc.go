// Package pgreplays remembers used assertions in PostgreSQL, for several servers that
// verify those of the same agents: what one has let in, none of them lets in again.
// [Replays.Replayed] is an authority.VerifierOptions.Replayed; for one server alone there
// is authority.MemoryReplays.
//
// # What is promised
//
// Of any number of uses of one assertion, at any number of servers at once, one is the
// first. The others are replays, but for those within Config.Reuse of the first. A use is
// one statement, which has been committed when the request goes on, so it holds across a
// crash of a server or of PostgreSQL. It does not hold where PostgreSQL loses what it has
// committed: with synchronous_commit off, or after a failover to a standby that was behind,
// what is lost can be used again.
//
// An error is an assertion that nobody can tell anything of, and the verifier refuses it.
// So without PostgreSQL nobody is let in. Where the answer does not come, because the
// connection fails or the time-out ends, the assertion may be used up; a client that sends
// it again is then refused, unless Reuse lets it.
//
// Where a limit is reached, calls are refused, and nothing that is remembered makes room.
// Limits are kept without counting the table for each use:
//
//   - Of an account there is a row for each minute, which says how many of its assertions
//     expire in that minute. A use reads these, some dozen with the default skew, and adds
//     to one in the same statement. So what has expired counts for up to a minute more; and
//     those that are under way at the same moment do not see each other: an account can
//     get above its limit by as many as there are connections.
//   - All together are counted by each server once for each half percent of the limit that
//     it has used, before a use; to that it adds its own. So a server alone keeps to the
//     limit, and several get above it by a half percent each, and by what is under way. At
//     the limit it counts again once a second.
//
// Each server keeps to the limits that it was given itself. Uses of one account wait for
// each other's commit, those of others do not.
//
// # What is in the table
//
// An assertion's digest, when it was first used, and when it can be forgotten, which is a
// minute after it has expired. For an account, the hash of its id, a minute, and a number.
// No assertion is in it, no id, and nothing that is of use to who reads it. Whoever may
// write it can have assertions used again, or refused.
//
// Each server deletes what has expired, at its first use and then at every hundredth, the
// oldest 400 rows at the most. A hundred uses add 200 rows at the most, so the table does
// not grow while there is anything to delete. Autovacuum has to be on, as it is by default.
//
// [Replays.Migrate] makes the table, in PostgreSQL 12 or later. It is a call of its own
// because the role that serves often may not: that one needs SELECT, INSERT, UPDATE and
// DELETE. In the schema, nobody else should be able to make tables, for whoever makes this
// one first owns it; before PostgreSQL 15, everybody may in the schema public.
//
// # Clocks
//
// Now is authority.Use.Time, the verifier's clock: the one that an assertion's timestamp is
// held to. So Reuse is longer or shorter by as much as two servers' clocks differ, and
// what they differ by has to be less than a minute: for longer, an assertion that has
// expired is not remembered. PostgreSQL's clock has a say in deleting, too: what has not
// expired by both stays, so that a server with a clock that is ahead does not have the
// others forget. All verifiers need the same Skew: an assertion is remembered for as long
// as the first one said.
//
// # Connections and poolers
//
// They are those of package pgstore. A connection that leaves the machine has to be
// encrypted, or the connection string has to say that it is not. Nothing depends on a
// session, and statements are not prepared, so PgBouncer may have pool_mode = transaction.
// Without a pooler, default_query_exec_mode=cache_statement in the connection string saves
// PostgreSQL the planning. How many uses there can be at once is how many connections there
// are, which all share in a process who open the same connection string: 4, or
// pool_max_conns in it.
package pgreplays
