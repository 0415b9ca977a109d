package manyaccounts

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
)

// row is where the agent of one account is. It keeps nothing: what another process
// changes in the table takes effect.
type row struct {
	accounts *Accounts
	id       string
}

// identity is the row as a manager wants it.
func (r row) identity() *host.IdentitySource {
	return &host.IdentitySource{Load: r.load, SaveTask: r.saveTask, Lock: r.lock}
}

// load returns the agent, with the task that it has by now.
func (r row) load(ctx context.Context) (core.Identity, error) { return r.accounts.load(ctx, r.id) }

// saveTask puts a task in the place of the one that was loaded, or of none, unless the
// account has another task by now, or another agent.
func (r row) saveTask(ctx context.Context, loaded core.Identity, task string) error {
	tag, err := r.accounts.db.Exec(ctx, `UPDATE accounts SET task_id = $4 WHERE id = $1 AND agent_runtime_id = $2 AND task_id = $3`,
		r.id, loaded.AgentRuntimeID, loaded.TaskID, task)
	if err == nil && tag.RowsAffected() == 0 {
		return &core.Error{Code: core.CodeRecordChanged, Message: "the account has another task by now, or another agent"}
	}
	return err
}

const (
	// lease is how long a lock lasts. A registration that takes longer is one that
	// another process may make, too: the first task that is saved is used, the other
	// one is never heard of again.
	lease = 30 * time.Second
	// pause is between one try and the next.
	pause = 50 * time.Millisecond
)

// lock keeps other processes from registering a task for the same account. It needs no
// connection while it is held or waited for, and works behind any pooler.
func (r row) lock(ctx context.Context) (unlock func(), err error) {
	holder := rand.Text()
	waiting, cancel := context.WithTimeout(ctx, host.MaxLockTime+lease)
	defer cancel()
	for {
		tag, err := r.accounts.db.Exec(ctx, `UPDATE accounts SET locked_by = $2, locked_until = now() + make_interval(secs => $3)
			WHERE id = $1 AND locked_until < now()`, r.id, holder, lease.Seconds())
		if err != nil {
			return nil, err
		}
		if tag.RowsAffected() == 1 {
			break
		}
		select {
		case <-time.After(pause):
		case <-waiting.Done():
			return nil, waiting.Err()
		}
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lease)
		defer cancel()
		// Where this fails, the lock ends by itself.
		_, _ = r.accounts.db.Exec(ctx, `UPDATE accounts SET locked_until = '-infinity' WHERE id = $1 AND locked_by = $2`, r.id, holder)
	}, nil
}
