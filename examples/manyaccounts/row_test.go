package manyaccounts

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agentassert/agentassert/core"
)

// table returns the accounts of one process, which has one account with an agent.
func table(t *testing.T, db *pgxpool.Pool) *Accounts {
	t.Helper()
	accounts, err := NewAccounts(t.Context(), db, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	key, err := core.NewPrivateKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	if err := accounts.Add(t.Context(), "account", core.Identity{AgentRuntimeID: "agent-1", PrivateKey: key.PKCS8()}); err != nil {
		t.Fatal(err)
	}
	return accounts
}

// TestLock: of those in several processes that want an account's lock, one has it, and
// another one gets it when the holder does not come back.
func TestLock(t *testing.T) {
	connect := database(t)
	var holders atomic.Int32
	var wait sync.WaitGroup
	var rows []row
	for range 3 {
		rows = append(rows, row{table(t, connect()), "account"})
	}
	for i := range 12 {
		wait.Go(func() {
			unlock, err := rows[i%len(rows)].lock(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			if holders.Add(1) != 1 {
				t.Error("two hold the lock")
			}
			holders.Add(-1)
			unlock()
		})
	}
	wait.Wait()

	first := rows[0]
	unlock, err := first.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := rows[1].lock(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := first.accounts.db.Exec(t.Context(), `UPDATE accounts SET locked_until = now()`); err != nil {
		t.Fatal(err)
	}
	unlockSecond, err := rows[1].lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	unlock() // which is not the second one's to lose
	if _, err := rows[2].lock(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	unlockSecond()
}

// TestSaveTask: a task takes the place of the one that was there when it was registered.
func TestSaveTask(t *testing.T) {
	accounts := table(t, database(t)())
	r := row{accounts, "account"}
	for _, step := range []struct{ old, new, code string }{
		{"other", "task-1", core.CodeRecordChanged},
		{"", "task-1", ""},
		{"", "task-2", core.CodeRecordChanged},
		{"task-1", "task-2", ""},
	} {
		loaded := core.Identity{AgentRuntimeID: "agent-1", TaskID: step.old}
		if err := r.saveTask(t.Context(), loaded, step.new); core.Code(err) != step.code {
			t.Errorf("%q in the place of %q: got %v, want %q", step.new, step.old, err, step.code)
		}
	}
	other := core.Identity{AgentRuntimeID: "agent-2", TaskID: "task-2"}
	if err := r.saveTask(t.Context(), other, "task-3"); core.Code(err) != core.CodeRecordChanged {
		t.Errorf("another agent's task was saved: %v", err)
	}
	agent, err := r.load(t.Context())
	if err != nil || agent.TaskID != "task-2" || agent.AgentRuntimeID != "agent-1" || agent.AccountID != "account" {
		t.Errorf("got %v, %v", agent, err)
	}
}

// TestKeysStayInTheirRows puts an account's key into another one's row, and takes an
// account out of use.
func TestKeysStayInTheirRows(t *testing.T) {
	accounts := table(t, database(t)())
	key, err := core.NewPrivateKey(append(make([]byte, 31), 1))
	if err != nil {
		t.Fatal(err)
	}
	agent := core.Identity{AgentRuntimeID: "agent-2", PrivateKey: key.PKCS8()}
	if err := accounts.Add(t.Context(), "other", agent); err != nil {
		t.Fatal(err)
	}
	if _, err := accounts.db.Exec(t.Context(), `UPDATE accounts SET sealed_key = (SELECT sealed_key FROM accounts WHERE id = 'account') WHERE id = 'other'`); err != nil {
		t.Fatal(err)
	}
	if agent, err := accounts.load(t.Context(), "other"); err == nil {
		t.Errorf("got %v", agent)
	}
	for _, agentRuntimeID := range []string{"agent-2", "agent-1"} { // of which the first one is not the account's
		if _, err := accounts.load(t.Context(), "account"); err != nil {
			t.Errorf("got %v", err)
		}
		if err := accounts.Disable(t.Context(), "account", agentRuntimeID, "reason"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := accounts.load(t.Context(), "account"); !errors.Is(err, ErrNoAccount) {
		t.Errorf("got %v", err)
	}
	if err := accounts.Add(t.Context(), "account", agent); err != nil {
		t.Fatal(err)
	}
	if got, err := accounts.load(t.Context(), "account"); err != nil || got.AgentRuntimeID != "agent-2" {
		t.Errorf("got %v, %v", got, err)
	}
}
