package pgreplays_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/authority/pgreplays"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/internal/postgres/postgrestest"
)

// start is long enough ago for PostgreSQL's clock to agree that what has expired has.
var start = time.Now().Add(-time.Hour).Truncate(time.Minute)

// config is of a table that no other test has.
func config(t testing.TB) pgreplays.Config {
	t.Helper()
	c := pgreplays.Config{ConnString: postgrestest.DSN(t), Table: postgrestest.Unique("test")}
	postgrestest.Remove(t, "DROP TABLE IF EXISTS "+pgx.Identifier{c.Table}.Sanitize())
	return c
}

func open(t testing.TB, c pgreplays.Config) *pgreplays.Replays {
	t.Helper()
	r, err := pgreplays.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// migrated is open, with the table made.
func migrated(t testing.TB, c pgreplays.Config) *pgreplays.Replays {
	t.Helper()
	r := open(t, c)
	if err := r.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// use is one of an account's assertions, by number, which expires a minute after start
// plus after, when it is used.
func use(account string, n int, after time.Duration) authority.Use {
	return authority.Use{
		Digest:    sha256.Sum256(fmt.Append(nil, account, n)),
		AccountID: account, AgentRuntimeID: "agent-of-" + account, TaskID: "task",
		Time: start.Add(after), Expires: start.Add(after + time.Minute),
	}
}

// code is an error's: of authority where a limit is reached, of core where PostgreSQL fails.
func code(err error) string {
	if reason := authority.Reason(err); reason != "" {
		return reason
	}
	return core.Code(err)
}

func check(t *testing.T, r *pgreplays.Replays, u authority.Use, replayed bool, want string) {
	t.Helper()
	if got, err := r.Replayed(t.Context(), u); got != replayed || code(err) != want {
		t.Errorf("%s at %s: got %v, %v, want %v, %q", u.AccountID, u.Time.Sub(start), got, err, replayed, want)
	}
}

func checkCode(t *testing.T, err error, want string) {
	t.Helper()
	if got := code(err); got != want {
		t.Fatalf("got code %q (%v), want %q", got, err, want)
	}
}

// checkHidden looks for a secret in what formatting shows of a value.
func checkHidden(t *testing.T, value any, secret string) {
	t.Helper()
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		if text := fmt.Sprintf(format, value); strings.Contains(text, secret) {
			t.Errorf("%s of a %T shows %q: %s", format, value, secret, text)
		}
	}
}

// rows counts a table's, where a condition is met.
func rows(t testing.TB, conn *pgx.Conn, c pgreplays.Config, where string) (n int) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM "+c.Table+" WHERE "+where).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// directory has one agent, on one task.
type directory struct{ key *core.PublicKey }

func (d directory) Agent(context.Context, string) (authority.Agent, error) {
	return authority.Agent{RuntimeID: "agent-1", PublicKey: d.key, AccountID: "acct-1"}, nil
}

func (d directory) Task(context.Context, string, string) (authority.Task, error) {
	return authority.Task{ID: "task-1", AgentRuntimeID: "agent-1", Status: authority.TaskActive}, nil
}

// newKey returns the agent's key.
func newKey(t *testing.T) *core.PrivateKey {
	t.Helper()
	key, err := core.NewPrivateKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign makes an assertion of the agent's, now.
func sign(t *testing.T, key *core.PrivateKey) string {
	t.Helper()
	header, err := core.BuildAssertion(key, "agent-1", "task-1", time.Now().Unix())
	if err != nil {
		t.Fatal(err)
	}
	return header
}

func verifier(t *testing.T, key *core.PrivateKey, r *pgreplays.Replays) *authority.Verifier {
	t.Helper()
	v, err := authority.NewVerifier(authority.VerifierOptions{Agents: directory{key.Public()}, Replayed: r.Replayed})
	if err != nil {
		t.Fatal(err)
	}
	return v
}
