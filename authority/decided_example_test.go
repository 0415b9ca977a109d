package authority_test

import (
	"context"
	"expvar"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/agentassert/agentassert/authority"
)

// nobodyIsKnown is a database without agents.
type nobodyIsKnown struct{}

func (nobodyIsKnown) Agent(context.Context, string) (authority.Agent, error) {
	return authority.Agent{}, authority.ErrUnknownAgent
}

func (nobodyIsKnown) Task(context.Context, string, string) (authority.Task, error) {
	return authority.Task{}, nil
}

// A counter for each reason, of which there are few, and a log.
func ExampleLogDecisions() {
	decisions := new(expvar.Map) // or expvar.NewMap, which publishes it
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "duration" { // for the example's sake
				return slog.Attr{}
			}
			return a
		},
	}))
	logged := authority.LogDecisions(logger)
	verifier, err := authority.NewVerifier(authority.VerifierOptions{
		Agents: nobodyIsKnown{},
		Decided: func(ctx context.Context, d authority.Decision) {
			logged(ctx, d)
			reason := "let in"
			if d.Err != nil {
				reason = authority.Reason(d.Err)
			}
			decisions.Add(reason, 1)
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	handler := verifier.Wrap(http.NotFoundHandler())
	for range 2 {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}
	fmt.Println(decisions)
	// Output:
	// level=INFO msg="request refused" remembered=false code=unauthenticated reason=unauthenticated
	// level=INFO msg="request refused" remembered=false code=unauthenticated reason=unauthenticated
	// {"unauthenticated": 2}
}
