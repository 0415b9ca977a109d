package manyaccounts

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agentassert/agentassert/core"
)

// The table of the proxy's own accounts. What was there before is its first column; the
// rest is what an agent takes.
const schema = `CREATE TABLE IF NOT EXISTS accounts (
	id               text PRIMARY KEY,
	agent_runtime_id text NOT NULL,
	sealed_key       bytea NOT NULL,
	task_id          text NOT NULL DEFAULT '',
	disabled         text NOT NULL DEFAULT '',
	locked_by        text NOT NULL DEFAULT '',
	locked_until     timestamptz NOT NULL DEFAULT '-infinity'
)`

// ErrNoAccount is an account that the proxy does not have, or does not use any more.
var ErrNoAccount = errors.New("there is no such account, or it is disabled")

// Accounts are those of the proxy, in its database.
type Accounts struct {
	db   *pgxpool.Pool
	seal cipher.AEAD
}

// NewAccounts returns the accounts in a database. Their private keys are sealed with a
// key of 32 bytes, which the database never sees.
func NewAccounts(ctx context.Context, db *pgxpool.Pool, key []byte) (*Accounts, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	seal, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	_, err = db.Exec(ctx, schema)
	return &Accounts{db: db, seal: seal}, err
}

// Import is Add for an agent as the auth.json of a client has it, or another proxy's export.
func (a *Accounts) Import(ctx context.Context, id string, export []byte) error {
	agent, err := core.ImportIdentity(export)
	if err != nil {
		return err
	}
	return a.Add(ctx, id, agent)
}

// Add adds an account with the agent that was registered for it. One that is there gets
// another agent, and is in use again.
func (a *Accounts) Add(ctx context.Context, id string, agent core.Identity) error {
	if err := agent.Check(); err != nil {
		return err
	}
	// The account is authenticated beside its key: a key that was put into another row
	// does not open.
	sealed := a.seal.Seal(nil, nil, []byte(agent.PrivateKey), []byte(id))
	_, err := a.db.Exec(ctx, `INSERT INTO accounts (id, agent_runtime_id, sealed_key, task_id) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET agent_runtime_id = excluded.agent_runtime_id,
			sealed_key = excluded.sealed_key, task_id = excluded.task_id, disabled = ''`,
		id, agent.AgentRuntimeID, sealed, agent.TaskID)
	return err
}

// Disable takes an account out of use, and remembers why, unless it has another agent by
// now.
func (a *Accounts) Disable(ctx context.Context, id, agentRuntimeID, reason string) error {
	_, err := a.db.Exec(ctx, `UPDATE accounts SET disabled = $3 WHERE id = $1 AND agent_runtime_id = $2`,
		id, agentRuntimeID, reason)
	return err
}

// load returns the agent of an account.
func (a *Accounts) load(ctx context.Context, id string) (core.Identity, error) {
	agent := core.Identity{AccountID: id}
	var sealed []byte
	err := a.db.QueryRow(ctx, `SELECT agent_runtime_id, sealed_key, task_id FROM accounts WHERE id = $1 AND disabled = ''`, id).
		Scan(&agent.AgentRuntimeID, &sealed, &agent.TaskID)
	if errors.Is(err, pgx.ErrNoRows) {
		return core.Identity{}, ErrNoAccount
	}
	if err != nil {
		return core.Identity{}, err
	}
	key, err := a.seal.Open(nil, nil, sealed, []byte(id))
	if err != nil {
		return core.Identity{}, fmt.Errorf("the private key of account %s does not open: %w", id, err)
	}
	agent.PrivateKey = string(key)
	return agent, nil
}
