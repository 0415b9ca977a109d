//go:build interop && unix

package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// runsVariable says how often TestRefreshed runs each of its cases, two times
	// where it is not set.
	runsVariable = "AGENTASSERT_INTEROP_RUNS"
	defaultRuns  = 2

	// In a run the user's tokens are refreshed so often, and we write so often.
	refreshes    = 10
	refreshEvery = time.Second
	writeEvery   = 100 * time.Millisecond
	// maxTries is how often a client is asked for one refresh.
	maxTries = 100
)

// refresher is a client that refreshes the user's tokens, and stores the new ones
// in auth.json.
type refresher interface {
	refresh(context.Context) error
}

// TestRefreshed: whatever we do with auth.json while a client refreshes the
// user's tokens, the newest refresh token is in it at the end. An older one is
// used up, so the user would be signed out.
func TestRefreshed(t *testing.T) {
	runs := defaultRuns
	if text := os.Getenv(runsVariable); text != "" {
		var err error
		if runs, err = strconv.Atoi(text); err != nil || runs < 1 {
			t.Fatalf("%s is %q, not a number of runs", runsVariable, text)
		}
	}
	for _, p := range profiles {
		for run := range runs {
			for _, r := range releases {
				for _, feature := range features {
					t.Run(fmt.Sprintf("%s/%s/%s/%d", r, feature.name, p.name, run), func(t *testing.T) {
						r.need(t)
						t.Parallel()
						b := newBackend(t)
						h := b.newHome(t, r, feature.settings)
						checkRefreshed(t, b, h, p, h.startAppServer(t))
						h.checkSignedIn(t)
						b.checkForeign(t)
					})
				}
			}
			for _, s := range standIns {
				t.Run(fmt.Sprintf("stand-in/%s/%s/%d", s.name, p.name, run), func(t *testing.T) {
					t.Parallel()
					b := newBackend(t)
					h := b.newHome(t, background, featureOn)
					checkRefreshed(t, b, h, p, s.refresher(b, h))
				})
			}
		}
	}
}

// checkRefreshed lets a client refresh the user's tokens while we register one
// identity after another.
func checkRefreshed(t *testing.T, b *backend, h home, p profile, client refresher) {
	t.Helper()
	var phase phases
	b.hold = func(r *http.Request) {
		if !fromClient(r) && strings.HasSuffix(r.URL.Path, "/register") {
			phase.hold(r.Context())
		}
	}
	refresh := time.NewTicker(refreshEvery)
	defer refresh.Stop()
	write := time.NewTicker(writeEvery)
	defer write.Stop()
	var pause atomic.Bool
	var failed failures
	headers, registrations := 0, 0
	together(
		func() {
			defer phase.end()
			for range refreshes {
				<-refresh.C
				failed.add(refreshOnce(t.Context(), b, client, &pause))
				phase.next()
			}
		},
		func() {
			_, err := h.header(t, p)
			failed.add(err)
			headers++
			phase.wait(t.Context())
		},
		func() {
			<-write.C
			if !pause.Load() {
				failed.add(manageAnew(t.Context(), b, h, p))
				registrations++
			}
		},
	)
	t.Logf("%d refreshes, %d headers of our tool, %d registrations of our manager", b.newestTokens().refreshes, headers, registrations)
	failed.report(t)
	if n := b.newestTokens().refreshes; n != refreshes {
		t.Errorf("the tokens were refreshed %d times, not %d", n, refreshes)
	}
	b.mu.Lock()
	reused := b.reused
	b.mu.Unlock()
	if reused != 0 {
		t.Errorf("the client came %d times with a refresh token that was used up", reused)
	}
	a, err := parseAuthJSON(h.read(t))
	if err != nil {
		t.Fatalf("auth.json: %v", err)
	}
	checkTokens(t, a, b.newestTokens())
	// A client without locks may have put an older record in place of ours, or none:
	// that costs a registration, and nobody's session.
	h.mustHeader(t, p)
	h.identityTokens(t, b)
}

// refreshOnce lets a client refresh the user's tokens. One that finds another
// auth.json than its own takes that first, in place of a refresh: for another try,
// those who write it pause.
func refreshOnce(ctx context.Context, b *backend, client refresher, pause *atomic.Bool) error {
	defer pause.Store(false)
	before := b.newestTokens().refreshes
	for range maxTries {
		if err := client.refresh(ctx); err != nil {
			return err
		}
		if b.newestTokens().refreshes != before {
			return nil
		}
		pause.Store(true)
	}
	return fmt.Errorf("the client, asked %d times, has not refreshed the tokens", maxTries)
}

// identityTokens fails the test unless auth.json has an identity that the backend
// knows, beside the user's newest tokens.
func (h home) identityTokens(t *testing.T, b *backend) {
	t.Helper()
	a, err := parseAuthJSON(h.read(t))
	if err != nil {
		t.Fatalf("auth.json: %v", err)
	}
	checkTokens(t, a, b.newestTokens())
	if _, err := b.Agent(t.Context(), a.Identity.AgentRuntimeID); err != nil {
		t.Errorf("auth.json has the agent %q: %v", a.Identity.AgentRuntimeID, err)
	}
}

// phases alternate with the refreshes of the user's tokens. In each second one our
// registrations get no answer, so that the refresh at its end falls into the
// middle of a registration; in the others as many registrations as possible end,
// and the refresh falls among their writes. The zero value is ready for use.
type phases struct {
	mu      sync.Mutex
	number  int
	over    bool
	changed chan struct{}
}

func (p *phases) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// next begins the next phase, after a refresh. end ends the last one.
func (p *phases) next() { p.change(func() { p.number++ }) }
func (p *phases) end()  { p.change(func() { p.over = true }) }

// hold returns in a phase in which registrations get their answers.
func (p *phases) hold(ctx context.Context) {
	for {
		number, over, changed := p.look()
		if over || number%2 == 0 {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// wait returns when the phase has ended.
func (p *phases) wait(ctx context.Context) {
	_, over, changed := p.look()
	if over {
		return
	}
	select {
	case <-changed:
	case <-ctx.Done():
	}
}

func (p *phases) look() (number int, over bool, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.number, p.over, p.changed
}

// standIns do with auth.json what the clients do, system call by system call, and
// need none.
var standIns = []standIn{
	{name: "locks", save: saveLocked},
	{name: "in-place", save: saveInPlace},
}

type standIn struct {
	name string
	// save changes auth.json in the folder.
	save func(dir string, change func(document []byte) ([]byte, error)) error
}

type standInClient struct {
	standIn
	b *backend
	h home
	// refreshToken is what it remembers, as the clients do.
	refreshToken string
}

func (s standIn) refresher(b *backend, h home) refresher {
	return &standInClient{s, b, h, firstRefreshToken}
}

func (c *standInClient) refresh(context.Context) error {
	next, ok := c.b.rotate(c.refreshToken)
	if !ok {
		return fmt.Errorf("the refresh token %q is used up", c.refreshToken)
	}
	c.refreshToken = next.refreshToken
	return c.save(c.h.dir, func(document []byte) ([]byte, error) {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(document, &members); err != nil {
			return nil, err
		}
		var err error
		members["tokens"], err = json.Marshal(map[string]string{
			"id_token": next.IDToken, "access_token": next.AccessToken,
			"refresh_token": next.refreshToken, "account_id": next.AccountID,
		})
		if err != nil {
			return nil, err
		}
		return json.MarshalIndent(members, "", "  ")
	})
}
