package pgstore_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/pgstore"
	"github.com/agentassert/agentassert/internal/postgres/postgrestest"
)

// server starts a PostgreSQL of this test's own, with options such as "-c name=value". It
// may be restarted.
func server(t *testing.T, options string) (dsn string, restart func()) {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh, so no server that can be restarted")
	}
	dir := filepath.Join(t.TempDir(), "postgres")
	run := func(verb string) {
		t.Helper()
		// Not with the test's context, which has ended when the server is stopped.
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		script := exec.CommandContext(ctx, sh, "testserver.sh", verb, dir)
		script.Env = append(os.Environ(), "SYSTEM_PACKAGES=no", "POSTGRES_OPTIONS="+options)
		if out, err := script.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", verb, err, out)
		}
	}
	t.Cleanup(func() { run("stop") })
	run("start")
	data, err := os.ReadFile(filepath.Join(dir, "dsn"))
	if err != nil {
		t.Skipf("no PostgreSQL on this machine, so none that can be restarted: %v", err)
	}
	return strings.TrimSpace(string(data)), func() { run("restart") }
}

// TestRestart restarts PostgreSQL while a lock is held, as after a crash. It is held
// still.
func TestRestart(t *testing.T) {
	dsn(t) // where no server was asked for, none is started
	address, restart := server(t, "")
	c := pgstore.Config{ConnString: address, Keys: []pgstore.Key{newKey()}, Name: "fleet"}
	s, other := migrated(t, c), open(t, c)
	save(t, s, wire.SlotIdentity, "old")
	unlock := lock(t, s)
	restart()

	// The pools may have connections from before, each good for one error.
	settle := func(s *pgstore.Store) {
		t.Helper()
		for range 10 {
			_, err := s.Load(t.Context(), wire.SlotIdentity)
			if err == nil {
				return
			}
			checkCode(t, err, pgstore.CodeUnreachable)
		}
		t.Fatal("the store does not recover")
	}
	settle(s)
	settle(other)
	checkLoad(t, s, wire.SlotIdentity, "old")
	save(t, s, wire.SlotIdentity, "new")
	unlock()
	lock(t, other)
	checkLoad(t, other, wire.SlotIdentity, "new")
}

// TestFrozenNetwork has everything come to a halt, once the lock is held.
func TestFrozenNetwork(t *testing.T) {
	c := config(t)
	direct := migrated(t, c)
	save(t, direct, wire.SlotIdentity, "old")
	network, address := postgrestest.NewNetwork(t, c.ConnString)
	through := c
	through.ConnString = address
	through.Timeout = 200 * time.Millisecond
	s := open(t, through)
	t.Cleanup(network.Close) // before the store, which waits for its connections' end
	unlock := lock(t, s)
	network.Freeze()

	checkCode(t, s.Save(t.Context(), wire.SlotIdentity, []byte("new")), pgstore.CodeUnreachable)
	_, err := s.Load(t.Context(), wire.SlotIdentity)
	checkCode(t, err, pgstore.CodeUnreachable)
	unlock()
	checkCode(t, s.Save(t.Context(), wire.SlotIdentity, []byte("new")), pgstore.CodeUnreachable)
	checkCode(t, s.Delete(t.Context(), wire.SlotIdentity), pgstore.CodeUnreachable)
	checkCode(t, s.Swap(t.Context(), wire.SlotIdentity, []byte("old"), []byte("new")), pgstore.CodeUnreachable)
	checkCode(t, s.Probe(t.Context(), wire.SlotIdentity), pgstore.CodeUnreachable)
	checkCode(t, s.Migrate(t.Context()), pgstore.CodeUnreachable)
	_, err = s.Reseal(t.Context())
	checkCode(t, err, pgstore.CodeUnreachable)
	_, err = s.Lock(t.Context(), wire.SlotIdentity)
	checkCode(t, err, pgstore.CodeUnreachable)
	checkLoad(t, direct, wire.SlotIdentity, "old")
}
