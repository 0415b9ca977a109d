package manyaccounts

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/agentassert/agentassert/core"
)

// fail answers a call that could not be passed on, and does what follows from that for
// its account. What it logs has no secret: errors have none.
func (p *Proxy) fail(w http.ResponseWriter, r *http.Request, account string, err error) {
	refusal, _ := errors.AsType[*core.Refusal](err)
	status, level := http.StatusBadGateway, slog.LevelError
	switch {
	case errors.Is(err, ErrNoAccount):
		status, level = http.StatusForbidden, slog.LevelInfo
	case errors.Is(err, context.Canceled):
		return // the caller has gone, and so would the answer
	case errors.Is(err, core.ErrAgentRevoked):
		// Nothing that the proxy has helps. Somebody has to sign in again, and until then
		// each call would be one more that the backend refuses.
		status = http.StatusForbidden
		if err := p.disable(r.Context(), account); err != nil {
			p.Log.ErrorContext(r.Context(), "a revoked account stays in use", "account", account, "error", err)
		}
	case errors.Is(err, core.ErrTemporary):
		status, level = http.StatusServiceUnavailable, slog.LevelWarn
		if refusal != nil && refusal.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.FormatInt(refusal.RetryAfter, 10))
		}
	}
	p.Log.LogAttrs(r.Context(), level, "a call was not passed on",
		slog.String("account", account), slog.Int("status", status), slog.String("code", core.Code(err)), slog.Any("error", err))
	http.Error(w, http.StatusText(status), status)
}

// disable takes a revoked account out of use.
func (p *Proxy) disable(ctx context.Context, account string) error {
	agent, err := p.Accounts.load(ctx, account)
	if errors.Is(err, ErrNoAccount) {
		return nil // another call was faster
	}
	if err != nil {
		return err
	}
	return p.Accounts.Disable(ctx, account, agent.AgentRuntimeID, "the agent was revoked")
}
