package pgreplays_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/authority/pgreplays"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/internal/postgres/postgrestest"
)

func TestInvalidConfig(t *testing.T) {
	good := pgreplays.Config{ConnString: "postgres://user:hunter2@127.0.0.1:1/db"}
	for name, change := range map[string]func(*pgreplays.Config){
		"neither connection string nor pool":   func(c *pgreplays.Config) { c.ConnString = "" },
		"both of them":                         func(c *pgreplays.Config) { c.Pool = new(pgxpool.Pool) },
		"an empty table":                       func(c *pgreplays.Config) { c.Table = "schema." },
		"a table in two schemas":               func(c *pgreplays.Config) { c.Table = "a.b.c" },
		"a long table":                         func(c *pgreplays.Config) { c.Table = strings.Repeat("t", 64) },
		"a table with a zero":                  func(c *pgreplays.Config) { c.Table = "t\x00" },
		"a negative time-out":                  func(c *pgreplays.Config) { c.Timeout = -1 },
		"a negative reuse":                     func(c *pgreplays.Config) { c.Reuse = -1 },
		"a negative limit":                     func(c *pgreplays.Config) { c.Max = authority.Limit{Total: -1} },
		"a negative limit of an account":       func(c *pgreplays.Config) { c.Max = authority.Limit{PerAccount: -1} },
		"a password that is not escaped":       func(c *pgreplays.Config) { c.ConnString = "postgres://user:hunter2/hunter2@127.0.0.1:1/db" },
		"a network, and nothing of encryption": func(c *pgreplays.Config) { c.ConnString = "postgres://user:hunter2@db.example.com/db" },
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			change(&c)
			r, err := pgreplays.Open(t.Context(), c)
			if r != nil {
				r.Close()
				t.Error("it was opened")
			}
			checkCode(t, err, core.CodeInvalidConfig)
			checkHidden(t, err, "hunter2")
		})
	}
}

// TestUnreachable opens what does not answer.
func TestUnreachable(t *testing.T) {
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, address := range map[string]net.Addr{"nobody listens": refusing.Addr(), "silence": silent.Addr()} {
		t.Run(name, func(t *testing.T) {
			c := pgreplays.Config{ConnString: fmt.Sprintf("postgres://user:hunter2@%s/db?sslmode=disable", address), Timeout: 100 * time.Millisecond}
			_, err := pgreplays.Open(t.Context(), c)
			checkCode(t, err, pgreplays.CodeUnreachable)
			checkHidden(t, err, "hunter2")

			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err = pgreplays.Open(ctx, c)
			checkCode(t, err, pgreplays.CodeCanceled)
		})
	}
}

// TestPool: the caller's pool stays open.
func TestPool(t *testing.T) {
	c := config(t)
	pool, err := pgxpool.New(t.Context(), c.ConnString)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	c.ConnString, c.Pool = "", pool
	r := migrated(t, c)
	check(t, r, use("a", 1, 0), false, "")
	r.Close()
	check(t, r, use("a", 1, 0), true, "")
}

// TestTableNames has names that are SQL, formats, parameters, or in two schemas.
func TestTableNames(t *testing.T) {
	c := config(t)
	conn := postgrestest.Connect(t, c.ConnString)
	schema := postgrestest.NewSchema(t, conn, postgrestest.Unique("Schema"))
	odd := postgrestest.NewSchema(t, conn, postgrestest.Unique(`"; DROP TABLE "x`))
	for _, table := range []string{
		c.Table,
		schema + ".replays",
		schema + ".Replays",
		schema + `.Odd "@digest" %s '$1' -- /* table`,
		schema + `."; DROP TABLE replays; --`,
		schema + ".select",
		schema + "." + strings.Repeat("ü", 31),
		odd + ".replays",
	} {
		t.Run(table, func(t *testing.T) {
			c := c
			c.Table = table
			r := migrated(t, c)
			for n := range 2 {
				check(t, r, use("a", n, 0), false, "")
				check(t, r, use("a", n, 0), true, "")
			}
			if err := r.Migrate(t.Context()); err != nil {
				t.Error(err)
			}
			check(t, open(t, c), use("a", 0, 0), true, "")
		})
	}
}
