package host

import (
	"context"
	"log/slog"
	"sync"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// CodeNoAssertion is a call that would carry something else than an assertion, with a
// manager that is strict about that. Why there is none stands in the message, and what
// failed, if something did, is in the chain.
const CodeNoAssertion = "no_assertion"

// supportedURL is a backend that is supported without further ado.
const supportedURL = "https://chatgpt.com/backend-api"

// wants reports whether a call on a surface carries an assertion in the manager's
// profile, unless something is in the way.
func (m *Manager) wants(surface string, credentials Credentials) bool {
	kind := wire.CredentialsChatGPT
	if credentials.Kind == wire.CredentialsAgentIdentity {
		kind = credentials.Kind
	}
	d, err := core.Decide(wire.DecideParams{
		Config: wire.Config{
			Profile: m.wire.Profile, AllSurfaces: m.wire.AllSurfaces, Instance: m.wire.Instance,
			BaseURL: supportedURL, AgentIdentity: true,
		},
		Surface: surface, Credentials: Credentials{Kind: kind, AccessToken: "any", AccountID: "any"}, Agent: wire.AgentAvailable,
	})
	return err == nil && (Authorization{Mode: d.Mode}).asserts()
}

// insist returns the error that a strict manager has for an answer, if it has one.
func (m *Manager) insist(a Authorization, credentials Credentials) error {
	if !m.config.Strict || a.asserts() || !m.wants(a.call.surface, credentials) {
		return nil
	}
	return fail(CodeNoAssertion, "the call carries no assertion, for the reason "+a.Reason+", and goes out with nothing else, because the manager is strict", a.Cause)
}

// signs are what has been logged of calls that carry the user's token where they are
// meant to carry an assertion: the reason, for those of conversations and for the others.
type signs struct {
	mu     sync.Mutex
	logged [2]string
}

// change takes note of a reason, empty for an assertion, and returns the one before.
func (s *signs) change(isThread bool, reason string) (before string) {
	i := 0
	if isThread {
		i = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before, s.logged[i] = s.logged[i], reason
	return before
}

// sign logs that calls fall back to the user's token: once, until there is another
// reason, and when they assert again.
func (m *Manager) sign(ctx context.Context, a Authorization) {
	reason := ""
	switch a.Reason {
	case core.ReasonRegistrationFailed, core.ReasonRegistrationUnavailable, core.ReasonStoreFailed,
		core.ReasonUnsupportedHost, core.ReasonNoAccountID:
		if a.Mode != core.ModeBearer || m.config.Strict || m.ctx.Err() != nil {
			return
		}
		reason = a.Reason
	default:
		if !a.asserts() {
			return
		}
	}
	before := m.signs.change(a.call.thread != "", reason)
	if before == reason {
		return
	}
	logger := m.config.Logger
	if logger == nil {
		logger = slog.Default()
	}
	if reason == "" {
		logger.InfoContext(ctx, "agentassert: calls carry assertions again", "surface", a.call.surface)
		return
	}
	attrs := []any{"surface", a.call.surface, "authorization", a}
	if a.Cause != nil {
		attrs = append(attrs, "code", core.Code(a.Cause))
	}
	if !a.RetryAt.IsZero() {
		attrs = append(attrs, "retry_at", a.RetryAt)
	}
	logger.WarnContext(ctx, "agentassert: calls carry the user's own token in place of an assertion", attrs...)
}
