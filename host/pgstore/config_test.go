package pgstore_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/pgstore"
)

func TestInvalidConfig(t *testing.T) {
	good := pgstore.Config{ConnString: "postgres://user:hunter2@127.0.0.1:1/db", Keys: []pgstore.Key{newKey()}, Name: "fleet"}
	for name, change := range map[string]func(*pgstore.Config){
		"neither connection string nor pool": func(c *pgstore.Config) { c.ConnString = "" },
		"both of them":                       func(c *pgstore.Config) { c.Pool = new(pgxpool.Pool) },
		"no key":                             func(c *pgstore.Config) { c.Keys = nil },
		"a key that was not set":             func(c *pgstore.Config) { c.Keys = []pgstore.Key{newKey(), {}} },
		"no name":                            func(c *pgstore.Config) { c.Name = "" },
		"a long name":                        func(c *pgstore.Config) { c.Name = strings.Repeat("n", 201) },
		"a name that is not UTF-8":           func(c *pgstore.Config) { c.Name = "\xff" },
		"a name with a control character":    func(c *pgstore.Config) { c.Name = "a\x00" },
		"an empty table":                     func(c *pgstore.Config) { c.Table = "schema." },
		"a table in two schemas":             func(c *pgstore.Config) { c.Table = "a.b.c" },
		"a long table":                       func(c *pgstore.Config) { c.Table = strings.Repeat("t", 64) },
		"a table with a zero":                func(c *pgstore.Config) { c.Table = "t\x00" },
		"a negative time-out":                func(c *pgstore.Config) { c.Timeout = -1 },
		"a negative time-out of the lock":    func(c *pgstore.Config) { c.LockTimeout = -1 },
		"a password that is not escaped":     func(c *pgstore.Config) { c.ConnString = "postgres://user:hunter2/hunter2@127.0.0.1:1/db" },
		"one that begins like a port":        func(c *pgstore.Config) { c.ConnString = "postgres://user:1/hunter2@127.0.0.1:1/db?sslmode=disable" },
		"an unescaped percent sign":          func(c *pgstore.Config) { c.ConnString = "postgres://user:hunter2%zz@127.0.0.1:1/db" },
		"a port that is none":                func(c *pgstore.Config) { c.ConnString = "host=127.0.0.1 port=hunter2 password=hunter2" },
		"a pool's setting that is none":      func(c *pgstore.Config) { c.ConnString += "?pool_max_conns=hunter2" },
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			change(&c)
			s, err := pgstore.Open(t.Context(), c)
			if s != nil {
				s.Close()
				t.Error("it was opened")
			}
			checkCode(t, err, core.CodeInvalidConfig)
			checkHidden(t, err, "hunter2")
		})
	}
}

func TestCodesOfHost(t *testing.T) {
	if pgstore.CodeCanceled != host.CodeCanceled {
		t.Errorf("got %q, want %q", pgstore.CodeCanceled, host.CodeCanceled)
	}
}

// TestUnreachable opens what does not answer, or refuses. No error shows the
// password, even if somebody encodes it.
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
	addresses := map[string]string{
		"nobody listens": fmt.Sprintf("postgres://user:hunter2@%s/db?sslmode=disable", refusing.Addr()),
		"silence":        fmt.Sprintf("postgres://user:hunter2@%s/db?sslmode=disable", silent.Addr()),
	}
	t.Run("a server", func(t *testing.T) {
		address, err := url.Parse(dsn(t))
		if err != nil {
			t.Fatal(err)
		}
		database := *address
		database.Path = "/" + unique("missing")
		addresses["no such database"] = database.String()
		address.User = url.UserPassword(address.User.Username(), "hunter2")
		addresses["wrong password"] = address.String()
	})
	for name, address := range addresses {
		t.Run(name, func(t *testing.T) {
			c := pgstore.Config{ConnString: address, Keys: []pgstore.Key{newKey()}, Name: "fleet", Timeout: patience}
			if name == "silence" {
				c.Timeout = 100 * time.Millisecond
			}
			_, err := pgstore.Open(t.Context(), c)
			checkCode(t, err, pgstore.CodeUnreachable)
			parsed, _ := url.Parse(address)
			password, _ := parsed.User.Password()
			checkHidden(t, err, password)
			encoded, jsonErr := json.Marshal(err)
			if jsonErr != nil {
				t.Fatal(jsonErr)
			}
			checkHidden(t, string(encoded), password)

			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err = pgstore.Open(ctx, c)
			checkCode(t, err, pgstore.CodeCanceled)
		})
	}
}
