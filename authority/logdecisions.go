package authority

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
)

// LogDecisions returns a [VerifierOptions.Decided] that writes to a logger: requests
// that were let in with level debug, refusals with level info and, where the server is
// at fault, with level error and what failed. It says what the client is not told; who
// can read the log is for the operator to decide. Ids that a request claims are cut at
// 256 bytes.
//
// The level is what bounds the log: anybody can send requests that are refused.
func LogDecisions(l *slog.Logger) func(context.Context, Decision) {
	return func(ctx context.Context, d Decision) {
		level := slog.LevelDebug
		refusal, refused := errors.AsType[*Error](d.Err)
		switch {
		case refused && refusal.Status >= http.StatusInternalServerError:
			level = slog.LevelError
		case d.Err != nil:
			level = slog.LevelInfo
		}
		if !l.Enabled(ctx, level) {
			return
		}
		attributes := make([]slog.Attr, 0, 8)
		for _, id := range []struct{ name, value string }{
			{"agent_runtime_id", d.ClaimedAgentRuntimeID},
			{"task_id", d.ClaimedTaskID},
			{"runtime_agent_instance", d.ClaimedRuntimeAgentInstance},
			{"account_id", d.Principal.AccountID},
		} {
			if id.value != "" {
				attributes = append(attributes, slog.String(id.name, cut(id.value, 256)))
			}
		}
		attributes = append(attributes, slog.Bool("remembered", d.Remembered), slog.Duration("duration", d.Duration))
		if d.Err == nil {
			l.LogAttrs(ctx, level, "request let in", attributes...)
			return
		}
		attributes = append(attributes, slog.String("code", refusal.Code), slog.String("reason", Reason(d.Err)))
		if level == slog.LevelError && refusal.cause != nil {
			attributes = append(attributes, slog.Any("error", refusal.cause))
		}
		l.LogAttrs(ctx, level, "request refused", attributes...)
	}
}
