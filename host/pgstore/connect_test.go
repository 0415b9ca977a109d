package pgstore_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/pgstore"
)

// services is a service file.
const services = `[remote]
host=db.example.com
[encrypted]
host=db.example.com
sslmode=require
[local]
host=localhost
[prepared]
default_query_exec_mode=cache_describe
`

// environment sets the standard environment variables to these, and the others to none.
func environment(t *testing.T, variables map[string]string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "services")
	if err := os.WriteFile(file, []byte(services), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "PG") {
			t.Setenv(name, "") // which restores it
			os.Unsetenv(name)
		}
	}
	t.Setenv("PGSERVICEFILE", file)
	for name, value := range variables {
		t.Setenv(name, value)
	}
}

// opened returns the error of opening a store that is given up before it connects.
func opened(t *testing.T, connString string) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := pgstore.Open(ctx, pgstore.Config{ConnString: connString, Keys: []pgstore.Key{newKey()}, Name: "fleet"})
	return err
}

// TestNotEncrypted refuses what leaves to the network whether it is encrypted.
func TestNotEncrypted(t *testing.T) {
	for name, test := range map[string]struct {
		connString  string
		environment map[string]string
	}{
		"a URL":                             {"postgres://user:hunter2@db.example.com/db", nil},
		"another scheme":                    {"postgresql://user:hunter2@db.example.com/db", nil},
		"keywords":                          {"host=db.example.com user=user password=hunter2", nil},
		"spaces and quotes":                 {"host = 'db.example.com' password = 'hunter2'", nil},
		"an address":                        {"postgres://user:hunter2@10.0.0.1/db", nil},
		"an address of version 6":           {"postgres://user:hunter2@[2001:db8::1]/db", nil},
		"a mapped address":                  {"postgres://user:hunter2@[::ffff:10.0.0.1]/db", nil},
		"every address":                     {"postgres://user:hunter2@0.0.0.0/db", nil},
		"every address of version 6":        {"postgres://user:hunter2@[::]/db", nil},
		"a link's address":                  {"host=fe80::1%lo password=hunter2", nil},
		"a name like localhost":             {"postgres://user:hunter2@localhost.example.com/db", nil},
		"a name that ends in localhost":     {"postgres://user:hunter2@db.localhost/db", nil},
		"a name like a loopback address":    {"postgres://user:hunter2@127.0.0.1.example.com/db", nil},
		"a short address":                   {"postgres://user:hunter2@127.1/db", nil},
		"the second of two hosts":           {"postgres://user:hunter2@localhost,db.example.com/db", nil},
		"the first of two hosts":            {"host=db.example.com,localhost password=hunter2", nil},
		"a host beside a socket":            {"host=/tmp,db.example.com port=5432,5433 password=hunter2", nil},
		"an address that pgx does not know": {"host=db.example.com hostaddr=127.0.0.1 password=hunter2", nil},
		"a host in the query":               {"postgres://user:hunter2@localhost/db?host=db.example.com", nil},
		"empty in a URL":                    {"postgres://user:hunter2@db.example.com/db?sslmode=", nil},
		"empty in keywords":                 {"host=db.example.com sslmode='' password=hunter2", nil},
		"empty, over the environment's":     {"host=db.example.com sslmode='' password=hunter2", map[string]string{"PGSSLMODE": "verify-full"}},
		"in a URL's password":               {"postgres://user:hunter2sslmode=disable@db.example.com/db", nil},
		"in a password":                     {"host=db.example.com password='hunter2 sslmode=disable'", nil},
		"in an escaped password":            {`host=db.example.com password=hunter2\ sslmode=disable`, nil},
		"in the name of the application":    {"postgres://user:hunter2@db.example.com/db?application_name=sslmode%3Ddisable", nil},
		"as the name of a database":         {"postgres://user:hunter2@db.example.com/sslmode=disable", nil},
		"in capitals":                       {"host=db.example.com SSLMODE=disable password=hunter2", nil},
		"another setting of TLS":            {"host=db.example.com sslsni=0 password=hunter2", nil},
		"what is taken where nothing is":    {"postgres://user:hunter2@db.example.com/db?sslmode=prefer", nil},
		"what begins without":               {"postgres://user:hunter2@db.example.com/db?sslmode=allow", nil},
		"the environment's host":            {"user=user password=hunter2", map[string]string{"PGHOST": "db.example.com"}},
		"the environment's prefer":          {"host=db.example.com password=hunter2", map[string]string{"PGSSLMODE": "prefer"}},
		"a service's host":                  {"service=remote password=hunter2", nil},
		"the environment's service":         {"password=hunter2", map[string]string{"PGSERVICE": "remote"}},
		"a service's that is overridden":    {"service=encrypted sslmode='' password=hunter2", nil},
		"another host than the service's":   {"service=local host=db.example.com password=hunter2", nil},
	} {
		t.Run(name, func(t *testing.T) {
			environment(t, test.environment)
			err := opened(t, test.connString)
			checkCode(t, err, core.CodeInvalidConfig)
			checkHidden(t, err, "hunter2", "example")
			if !strings.Contains(err.Error(), "sslmode=verify-full") {
				t.Errorf("%v does not say what to write", err)
			}
		})
	}
}

// TestEncryptedOrLocal lets through what says whether it is encrypted, and what stays on
// this machine.
func TestEncryptedOrLocal(t *testing.T) {
	for name, test := range map[string]struct {
		connString  string
		environment map[string]string
	}{
		"verified":                  {"postgres://user:hunter2@db.example.com/db?sslmode=verify-full", nil},
		"verified by an authority":  {"host=db.example.com sslmode=verify-ca", nil},
		"encrypted":                 {"host=db.example.com sslmode=require", nil},
		"the system's authorities":  {"host=db.example.com sslrootcert=system", nil},
		"on purpose":                {"postgres://user:hunter2@db.example.com/db?sslmode=disable", nil},
		"on purpose, escaped":       {"postgres://user:hunter2@db.example.com/db?sslm%6fde=d%69sable", nil},
		"the environment's":         {"host=db.example.com", map[string]string{"PGSSLMODE": "verify-full"}},
		"the environment's purpose": {"host=db.example.com", map[string]string{"PGSSLMODE": "disable"}},
		"a service's":               {"service=encrypted", nil},
		"several":                   {"host=db.example.com,10.0.0.1 sslmode=require", nil},
		"localhost":                 {"postgres://user:hunter2@localhost/db", nil},
		"LOCALHOST":                 {"postgres://user:hunter2@LOCALHOST/db?sslmode=prefer", nil},
		"loopback":                  {"host=127.0.0.1", nil},
		"other loopback":            {"host=127.8.9.10", nil},
		"loopback of version 6":     {"postgres://user:hunter2@[::1]/db", nil},
		"mapped loopback":           {"host=::ffff:127.0.0.1", nil},
		"a socket":                  {"host=/var/run/postgresql", nil},
		"a socket and localhost":    {"host=/tmp,localhost,127.0.0.1", nil},
		"no host":                   {"user=user", nil},
		"the environment's host":    {"user=user", map[string]string{"PGHOST": "localhost"}},
		"a service's host":          {"service=local", nil},
	} {
		t.Run(name, func(t *testing.T) {
			environment(t, test.environment)
			checkCode(t, opened(t, test.connString), pgstore.CodeCanceled)
		})
	}
}

// TestFormsOfNewerVersions: what pgx reads in newer versions only, older ones refuse.
func TestFormsOfNewerVersions(t *testing.T) {
	for name, connString := range map[string]string{
		"encrypted, by its alias":  "postgres://user:hunter2@db.example.com/db?ssl=true",
		"encrypted from the start": "host=db.example.com sslnegotiation=direct",
		"on purpose, in quotes":    `host=db.example.com sslmode = 'dis\able'`,
		"a socket in a URL":        "postgres://%2Ftmp/db",
	} {
		t.Run(name, func(t *testing.T) {
			environment(t, nil)
			if err := opened(t, connString); core.Code(err) != pgstore.CodeCanceled {
				checkCode(t, err, core.CodeInvalidConfig)
				checkHidden(t, err, "hunter2", "example")
			}
		})
	}
}

// TestExecMode carries out statements without preparing them, unless the setting says so,
// and not just any word.
func TestExecMode(t *testing.T) {
	c := config(t)
	for name, test := range map[string]struct {
		suffix string
		want   pgx.QueryExecMode
	}{
		"nothing":             {"", pgx.QueryExecModeExec},
		"the setting":         {"&default_query_exec_mode=cache_statement", pgx.QueryExecModeCacheStatement},
		"the setting escaped": {"&default%5Fquery_exec_mode=simple_protocol", pgx.QueryExecModeSimpleProtocol},
		"a service's setting": {"&service=prepared", pgx.QueryExecModeCacheDescribe},
		"a word":              {"&application_name=default_query_exec_mode", pgx.QueryExecModeExec},
	} {
		t.Run(name, func(t *testing.T) {
			environment(t, nil)
			of := c
			of.ConnString += test.suffix
			if got := open(t, of).ExecMode(); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// TestHugeAnswer has a server announce a gigabyte. It is not waited for.
func TestHugeAnswer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- announce(listener, 1<<30) }()
	s := open(t, pgstore.Config{
		ConnString: "postgres://user@" + listener.Addr().String() + "/db?sslmode=disable&pool_max_conns=1",
		Keys:       []pgstore.Key{newKey()}, Name: "fleet", Timeout: patience,
	})
	_, err = s.Load(t.Context(), wire.SlotIdentity)
	checkCode(t, err, pgstore.CodeUnreachable)
	if _, ok := errors.AsType[*pgproto3.ExceededMaxBodyLenErr](err); !ok {
		t.Errorf("got %v, want that the answer is too large", err)
	}
	s.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// announce is a server that takes one connection, lets anybody in, and answers the first
// statement with the beginning of a row of that size.
func announce(listener net.Listener, size uint32) error {
	conn, err := listener.Accept()
	listener.Close() // nor does it answer to requests to cancel
	if err != nil {
		return err
	}
	defer conn.Close()
	server := pgproto3.NewBackend(conn, conn)
	if _, err := server.ReceiveStartupMessage(); err != nil {
		return err
	}
	server.Send(&pgproto3.AuthenticationOk{})
	for ready := true; ; {
		if ready {
			server.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
			if err := server.Flush(); err != nil {
				return err
			}
		}
		message, err := server.Receive()
		if err != nil {
			return err
		}
		switch message.(type) {
		case *pgproto3.Terminate:
			return nil
		case *pgproto3.Query: // a ping
			server.Send(&pgproto3.EmptyQueryResponse{})
			ready = true
		case *pgproto3.Sync:
			if _, err := conn.Write(binary.BigEndian.AppendUint32([]byte{'D'}, size)); err != nil {
				return err
			}
			ready = false
		default:
			ready = false
		}
	}
}
