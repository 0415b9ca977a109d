package proxy

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// Checker is implemented by [Tenants] that can say whether there is anybody whose calls can
// be authorized.
type Checker interface {
	// Check returns what a call would get now, of those on the conversation, or an error
	// where no call can be authorized. It sends nothing. Its errors go to whoever asks for
	// /readyz: they hold no secret.
	Check(ctx context.Context, thread string) (Usable, error)
}

// Usable is what calls get: the mode and the reason of their authorization, as in
// host.Authorization. Both are empty where that depends on the account.
type Usable struct {
	Mode   string `json:"mode,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Operations returns a handler for those who operate the proxy, for an address of its own:
// it wants no token, and nothing of it is forwarded.
//
//   - /healthz is 200 for as long as the program runs.
//   - /readyz is 200 where calls can be authorized, with the bearer token if need be, and 503
//     with a reason where they cannot, and while the proxy is ending. It looks once a second
//     at most, and sends nothing.
//   - /metrics is the given handler's, and 404 if that is nil.
//
// Bodies are JSON, but those of metrics. Other methods than GET and HEAD get 405.
func (p *Proxy) Operations(metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, struct {
			Healthy bool `json:"healthy"`
		}{true})
	})
	mux.HandleFunc("GET /readyz", p.serveReadiness)
	if metrics != nil {
		mux.Handle("GET /metrics", metrics)
	}
	return mux
}

// readinessInterval is how long it counts what was found out of readiness, and
// readinessTimeout how long it may take.
const (
	readinessInterval = time.Second
	readinessTimeout  = 5 * time.Second
)

// readiness is what was found out last.
type readiness struct {
	// turn is for who looks. Others wait, so that there are not many who do.
	turn sync.Mutex

	mu    sync.Mutex
	until time.Time
	last  report
}

// report is the body of /readyz.
type report struct {
	Ready bool   `json:"ready"`
	Why   string `json:"why,omitempty"`
	Usable
}

func (r *readiness) recall() (report, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last, time.Now().Before(r.until)
}

func (r *readiness) keep(last report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last, r.until = last, time.Now().Add(readinessInterval)
}

func (r *readiness) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.until = time.Time{}
}

func (p *Proxy) serveReadiness(w http.ResponseWriter, r *http.Request) {
	found := p.look(r.Context())
	status := http.StatusOK
	if !found.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, found)
}

func (p *Proxy) look(ctx context.Context) report {
	ending := report{Why: "the proxy is ending"}
	if p.ending.Load() {
		return ending
	}
	p.readiness.turn.Lock()
	defer p.readiness.turn.Unlock()
	if last, ok := p.readiness.recall(); ok {
		return last
	}
	s := p.enter()
	if s == nil {
		return ending
	}
	defer p.leave(s)
	c, ok := s.Tenants.(Checker)
	if !ok {
		return report{Ready: true}
	}
	limited, cancel := context.WithTimeout(ctx, readinessTimeout)
	defer cancel()
	usable, err := c.Check(limited, s.Thread)
	found := report{Ready: err == nil, Usable: usable}
	if err != nil {
		found.Why = oneLine(err)
	}
	if ctx.Err() == nil { // who has hung up has found out nothing
		p.readiness.keep(found)
	}
	return found
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // all that is in them encodes
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // to whoever is gone, there is nobody to tell
}
