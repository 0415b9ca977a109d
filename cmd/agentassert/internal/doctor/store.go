package doctor

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/pgstore"
)

const (
	checkNameStore = "store"
	// storeTimeout bounds all that a store is asked.
	storeTimeout = 30 * time.Second
)

// Store is where identities are kept in place of auth.json.
type Store struct {
	// Err says what is wrong with the flags that name it. Nothing else counts then.
	Err error
	// Postgres returns a connection string, where that is the store. It can have a
	// password in it.
	Postgres func() string
	// File is the path that those of the records begin with, where that is the store. If
	// it is neither, it is the keyring.
	File string
	// Open opens it.
	Open func(context.Context) (host.Store, func(), error)
}

// checkStore reaches a store, and copies the records. One in PostgreSQL is another
// machine's, mostly, and asked with Send alone.
func (e *examination) checkStore(ctx context.Context) {
	if e.Store == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	switch {
	case e.Store.Err != nil:
		e.failed(checkNameStore, Problem, e.Store.Err)
		return
	case e.Store.File != "":
		e.checkFileStore(ctx)
		return
	case e.Store.Postgres != nil && !e.Send:
		e.note(checkNameStore, "say --send to have it asked", "the identity is kept in PostgreSQL, which was not asked")
		return
	}
	store, done, err := e.Store.Open(ctx)
	if e.Store.Postgres != nil && core.Code(err) != pgstore.CodePooler {
		e.checkPooler(ctx)
	}
	if err != nil {
		e.storeFailed(err)
		return
	}
	defer done()
	if e.Store.Postgres == nil {
		e.ok(checkNameStore, "the system's keyring can be used")
		return // reading a record can take a lock
	}
	for _, slot := range besideSlots {
		record, err := store.Load(ctx, slot)
		if err != nil {
			e.storeFailed(err)
			return
		}
		if len(record) > 0 {
			err = e.store.Save(ctx, slot, record)
		} else {
			err = e.store.Delete(ctx, slot) // of what is beside auth.json nothing counts
		}
		if err != nil {
			e.failed(checkNameStore, Problem, err)
		}
	}
	e.ok(checkNameStore, "PostgreSQL can be reached, has the table, and its records open with these keys")
}

func (e *examination) storeFailed(err error) {
	if core.Code(err) == pgstore.CodeSchemaMissing {
		e.problem(checkNameStore, "make it with agentassert store migrate, or check --store-table", "the database has no table for the identity")
		return
	}
	e.failed(checkNameStore, Problem, err)
}

// checkFileStore is about a store that is files of its own.
func (e *examination) checkFileStore(ctx context.Context) {
	path, err := filepath.Abs(e.Store.File)
	if err != nil {
		e.problem(checkNameStore, "name the file from the root on", "where %s is cannot be told: %v", e.Store.File, err)
		return
	}
	before, found, folder := len(e.findings), 0, filepath.Dir(path)
	if why := cannotWrite(folder); why != "" {
		e.problem(checkNameStore, "make the folder, for this user to write, or name another with --store file:PATH", "nothing can be kept in %s: %s", folder, why)
		return
	}
	for _, slot := range besideSlots {
		if e.keep(ctx, checkNameStore, path, slot) {
			found++
		}
	}
	if len(e.findings) == before {
		e.ok(checkNameStore, "%s can be written, and has %d records of %s", folder, found, filepath.Base(path))
	}
}

// checkPooler finds out what is between here and the server: two connections at once have
// two sessions, and each keeps its own, unless somebody in between hands them around.
func (e *examination) checkPooler(ctx context.Context) {
	config, err := pgxpool.ParseConfig(e.Store.Postgres())
	if err != nil {
		return // opening the store says so
	}
	settings := *config.ConnConfig
	settings.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	isPooler, isShared, err := handsAround(ctx, &settings)
	switch {
	case err != nil || !isPooler:
		return
	case !isShared:
		e.note(checkNameStore, "", "between here and PostgreSQL is a pooler, such as PgBouncer, which works")
		return
	}
	advice := ""
	// Where the string says nothing, pgx's own mode stands here, which the store does not use.
	if strings.Contains(e.Store.Postgres(), "default_query_exec_mode") && config.ConnConfig.DefaultQueryExecMode != pgx.QueryExecModeExec {
		advice = "leave default_query_exec_mode out of the connection string"
	}
	e.note(checkNameStore, advice, "between here and PostgreSQL is a pooler that gives each transaction another session, such as PgBouncer with pool_mode = transaction: locks of a session do not hold there, and this store's do, for they are rows with an end; statements must not be prepared, and are not unless the connection string asks for it")
}

// handsAround reports whether there is a pooler, which makes the keys of sessions up, and
// whether it gives two clients the same session of the server.
func handsAround(ctx context.Context, settings *pgx.ConnConfig) (isPooler, isShared bool, err error) {
	var connections [2]*pgx.Conn
	defer func() {
		for _, c := range connections {
			if c != nil {
				err = errors.Join(err, c.Close(context.WithoutCancel(ctx)))
			}
		}
	}()
	for i := range connections {
		if connections[i], err = pgx.ConnectConfig(ctx, settings); err != nil {
			return false, false, err
		}
	}
	seen := map[uint32]int{}
	const rounds = 4
	for range rounds {
		for i, c := range connections {
			var session uint32
			if err := c.QueryRow(ctx, "select pg_backend_pid()").Scan(&session); err != nil {
				return isPooler, isShared, err
			}
			if was, ok := seen[session]; ok && was != i {
				isShared = true
			}
			seen[session] = i
			isPooler = isPooler || session != c.PgConn().PID()
		}
	}
	return isPooler, isShared || len(seen) > len(connections), nil
}
