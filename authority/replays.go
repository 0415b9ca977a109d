package authority

import (
	"context"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"github.com/agentassert/agentassert/core/wire"
)

// The limits of [MemoryReplays] that stand unless others are asked for.
const (
	DefaultMaxReplays           = 200_000
	DefaultMaxReplaysPerAccount = 20_000
)

// Use is one use of an assertion that is good in every other respect.
type Use struct {
	// Digest is the assertion's: SHA-256 of the text that was signed or, of a runtime
	// agent instance's, of the instance and the assertion's id. It tells any two
	// assertions apart, and is the same however one is encoded or signed: the owner of
	// a key can sign a text in many ways.
	Digest [sha256.Size]byte
	// AgentRuntimeID, TaskID, RuntimeAgentInstance and AccountID are the directory's.
	AgentRuntimeID, TaskID, RuntimeAgentInstance, AccountID string
	// Once says that the assertion is a runtime agent instance's, and so for one request.
	Once bool
	// Time is now, by the verifier's clock.
	Time time.Time
	// Expires is from when on the assertion is refused for its timestamp, so that
	// nothing need be remembered of it.
	Expires time.Time
}

// replayGrace is how long an assertion is remembered after it has expired, for a
// request whose look-up took long: it was in time when it began.
const replayGrace = time.Minute

// MemoryReplays remembers assertions in memory, for one process:
// [MemoryReplays.Replayed] is a [VerifierOptions.Replayed]. It never holds more
// than its limit, and forgets what has expired. Where the limit is reached, calls
// are refused, those of one account or all of them: an assertion that was not
// remembered could be sent again. For several servers, there is package pgreplays.
//
// It is safe for concurrent use.
type MemoryReplays struct {
	reuse time.Duration

	mu    sync.Mutex
	first *table[[sha256.Size]byte, time.Time] // when each was first used
}

// MemoryReplaysOptions are a MemoryReplays'. The zero value is ready for use.
type MemoryReplaysOptions struct {
	// Max bounds how many assertions are remembered; what is zero in it is
	// DefaultMaxReplays and DefaultMaxReplaysPerAccount. An assertion is remembered
	// for up to twice the verifier's skew, and a minute.
	Max Limit
	// Reuse is for how long from its first use an assertion can be used again. Zero
	// is for one use alone, which clients of this protocol do not expect: one that
	// makes several calls on a task within a second sends the same assertion with
	// each. Some seconds let them, and leave a thief that much in place of minutes. An
	// assertion of a runtime agent instance is for one use in any case.
	Reuse time.Duration
}

// NewMemoryReplays returns a MemoryReplays that remembers nothing yet. The error
// is an [*Error] with CodeInvalidOptions: something is negative.
func NewMemoryReplays(o MemoryReplaysOptions) (*MemoryReplays, error) {
	limit, ok := o.Max.or(DefaultMaxReplays, DefaultMaxReplaysPerAccount)
	if !ok || o.Reuse < 0 {
		return nil, invalidOptions("MemoryReplaysOptions has a negative value; use zero for the default")
	}
	return &MemoryReplays{reuse: o.Reuse, first: newTable[[sha256.Size]byte, time.Time](limit)}, nil
}

// Replayed reports whether an assertion was used before, so long ago that this
// use is a replay, and remembers it. The error is an [*Error]:
// CodeQuotaExceeded, CodeCapacityExceeded.
func (m *MemoryReplays) Replayed(_ context.Context, u Use) (bool, error) {
	account := "account:" + u.AccountID
	if u.AccountID == "" { // one agent of nobody's is not to use up what another has
		account = "agent:" + u.AgentRuntimeID + u.RuntimeAgentInstance
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if first, ok := m.first.get(u.Time, u.Digest); ok {
		// A clock that was set back counts as no time.
		return u.Once || m.reuse == 0 || u.Time.Sub(first) > m.reuse, nil
	}
	return false, m.first.add(u.Time, u.Digest, account, u.Expires.Add(replayGrace), u.Time)
}

// Len is how many assertions are remembered, the expired ones included until the
// next use of any.
func (m *MemoryReplays) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.first.rows)
}

// checkReplay asks the hook, if there is one.
func (v *Verifier) checkReplay(ctx context.Context, p Principal, assertionID string, now time.Time) error {
	hook, once := v.replayed, p.Form == wire.FormInstance
	signed := p.AgentRuntimeID + ":" + p.TaskID + ":" + p.Timestamp.Format(time.RFC3339)
	if once {
		// No id has a control character, so this is no other's, and no task's.
		hook, signed = v.instanceReplayed, p.RuntimeAgentInstance+"\x00"+assertionID
	}
	if hook == nil {
		return nil
	}
	replayed, err := hook(ctx, Use{
		Digest:               sha256.Sum256([]byte(signed)),
		AgentRuntimeID:       p.AgentRuntimeID,
		TaskID:               p.TaskID,
		RuntimeAgentInstance: p.RuntimeAgentInstance,
		AccountID:            p.AccountID,
		Once:                 once,
		Time:                 now,
		Expires:              p.Timestamp.Add(time.Duration(v.skew+1) * time.Second),
	})
	switch {
	case err != nil:
		return because(err, http.StatusServiceUnavailable, CodeReplayCheckFailed, "whether the assertion was used before could not be told; try again later")
	case replayed:
		return fail(http.StatusForbidden, CodeReplayedAssertion, "the assertion was used before; sign another one, in another second")
	}
	return nil
}
