package host_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// start is when the tests' clocks begin: the captured registration's second.
var start = time.Date(2026, 11, 24, 15, 16, 8, 0, time.UTC)

const baseURL = "https://chatgpt.com/backend-api"

// cacheDir keeps the compiled module for all tests. TestMain has moved the
// user's cache to a folder of its own.
func cacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		panic(err)
	}
	return filepath.Join(dir, "agentassert")
}

func newSandbox(t testing.TB, o host.SandboxOptions) *host.Sandbox {
	t.Helper()
	s, err := host.NewSandbox(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Errorf("closing the sandbox: %v", err)
		}
	})
	return s
}

// engines are a sandbox and a native engine.
func engines(t testing.TB) map[string]host.Engine {
	t.Helper()
	return map[string]host.Engine{
		"sandbox": newSandbox(t, host.SandboxOptions{CacheDir: cacheDir()}),
		"native":  host.NewNative(),
	}
}

// clock stands until it is moved.
type clock struct{ unix atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.set(start)
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(c.unix.Load(), 0).UTC() }
func (c *clock) set(t time.Time)         { c.unix.Store(t.Unix()) }
func (c *clock) advance(d time.Duration) { c.unix.Add(int64(d / time.Second)) }

// newRand is a source of the same bytes each time.
func newRand(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

// script decides what becomes of the nth request, counted from 0. The backend
// answers where it returns nothing.
type script func(n int, r *http.Request) (*http.Response, error)

// network is the way to a backend, for every URL. It can be made to fail.
type network struct {
	backend http.Handler

	mu       sync.Mutex
	script   script
	requests []*http.Request
	bodies   []string
	biscuits []string
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body.Close()
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	n.mu.Lock()
	index, script := len(n.requests), n.script
	n.requests = append(n.requests, r)
	n.bodies = append(n.bodies, string(body))
	n.mu.Unlock()
	if script != nil {
		if response, err := script(index, r); response != nil || err != nil {
			return response, err
		}
	}
	recorder := httptest.NewRecorder()
	n.backend.ServeHTTP(recorder, r)
	response := recorder.Result()
	if biscuit := response.Header.Get("X-OpenAI-Authorization"); biscuit != "" {
		n.mu.Lock()
		n.biscuits = append(n.biscuits, biscuit)
		n.mu.Unlock()
	}
	return response, nil
}

func (n *network) follow(s script) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.script = s
}

// count is how many requests there were.
func (n *network) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.requests)
}

// world is a backend, a signed-in user, and what a manager needs beside them.
type world struct {
	clock     *clock
	authority *authority.Authority
	session   authority.Session
	network   *network
	store     host.Store
	engine    host.Engine
}

// newAuthority is for options that are known to be good.
func newAuthority(o authority.Options) *authority.Authority {
	a, err := authority.New(o)
	if err != nil {
		panic(err)
	}
	return a
}

func newWorld() *world {
	w := &world{clock: newClock(), store: &host.MemoryStore{}, engine: host.NewNative()}
	w.authority = newAuthority(authority.Options{Now: w.clock.Now, Rand: newRand('a')})
	w.session = w.authority.SignIn("acct-1", "user-1")
	w.network = &network{backend: w.authority}
	return w
}

func (w *world) credentials() host.Credentials {
	return host.Credentials{
		Kind:        wire.CredentialsChatGPT,
		AccessToken: w.session.AccessToken,
		AccountID:   w.session.AccountID,
		UserID:      w.session.UserID,
	}
}

func fixed(c host.Credentials) host.CredentialSource {
	return host.CredentialFunc(func(context.Context) (host.Credentials, error) { return c, nil })
}

func (w *world) config() host.ManagerConfig {
	return host.ManagerConfig{
		Engine:        w.engine,
		Store:         w.store,
		Credentials:   fixed(w.credentials()),
		BaseURL:       baseURL,
		AgentIdentity: true,
		ABOM:          host.ABOM{AgentVersion: "1.0.0", AgentHarnessID: "test", RunningLocation: "test-linux"},
		HTTPClient:    &http.Client{Transport: w.network},
		Logger:        slog.New(slog.DiscardHandler),
		Now:           w.clock.Now,
		Rand:          newRand('m'),
	}
}

// manager returns a manager that is closed when the test ends.
func manager(t testing.TB, c host.ManagerConfig) *host.Manager {
	t.Helper()
	m, err := host.NewManager(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeManager(t, m) })
	return m
}

// closeManager waits for all that the manager has begun.
func closeManager(t testing.TB, m *host.Manager) {
	t.Helper()
	if err := m.Close(context.Background()); err != nil {
		t.Errorf("closing the manager: %v", err)
	}
}

// ask asks for a background call's authorization.
func ask(t testing.TB, m *host.Manager) host.Authorization {
	t.Helper()
	a, err := m.Authorization(context.Background(), core.SurfaceModels)
	if err != nil {
		t.Fatalf("Authorization: %v", err)
	}
	return a
}

// check compares mode, reason and the code of the cause, which may be empty.
func check(t testing.TB, got host.Authorization, mode, reason, cause string) {
	t.Helper()
	if got.Mode != mode || got.Reason != reason || core.Code(got.Cause) != cause {
		t.Fatalf("got %s (%s), cause %q (%v); want %s (%s), cause %q",
			got.Mode, got.Reason, core.Code(got.Cause), got.Cause, mode, reason, cause)
	}
}

func checkAssertion(t testing.TB, got host.Authorization) {
	t.Helper()
	check(t, got, core.ModeAgentAssertion, core.ReasonBackgroundTask, "")
}

func checkCode(t testing.TB, err error, code string) {
	t.Helper()
	if core.Code(err) != code {
		t.Fatalf("got code %q (%v), want %q", core.Code(err), err, code)
	}
}

func checkCount(t testing.TB, what string, got, want int) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %d, want %d", what, got, want)
	}
}

func checkCounts(t testing.TB, a *authority.Authority, identities, tasks int) {
	t.Helper()
	if got, want := a.Counts(), (authority.Counts{Identities: identities, Tasks: tasks}); got != want {
		t.Fatalf("the authority has %+v, want %+v", got, want)
	}
}

// load is what the store has in a slot.
func (w *world) load(t testing.TB, slot string) []byte {
	t.Helper()
	record, err := w.store.Load(context.Background(), slot)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// storedIdentity is the identity in the store, or nil where it is none of ours.
func (w *world) storedIdentity(t testing.TB) map[string]string {
	t.Helper()
	return stringMembers(w.load(t, wire.SlotIdentity))
}

// stringMembers are those members of a record that are strings, or nil where it is
// no object.
func stringMembers(record []byte) map[string]string {
	var members map[string]any
	if json.Unmarshal(record, &members) != nil {
		return nil
	}
	out := map[string]string{}
	for name, value := range members {
		if text, ok := value.(string); ok {
			out[name] = text
		}
	}
	return out
}

// secrets are all that must not be shown.
func (w *world) secrets(t testing.TB) []string {
	t.Helper()
	w.network.mu.Lock()
	defer w.network.mu.Unlock()
	secrets := append([]string{w.session.AccessToken}, w.network.biscuits...)
	if key := w.storedIdentity(t)["agent_private_key"]; key != "" {
		secrets = append(secrets, key)
	}
	return secrets
}

// renderings is how a value comes out where people print, log and encode it.
func renderings(t testing.TB, v any) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		out[verb] = fmt.Sprintf(verb, v)
	}
	if encoded, err := json.Marshal(v); err == nil {
		out["json"] = string(encoded)
	}
	var b strings.Builder
	slog.New(slog.NewJSONHandler(&b, nil)).Info("", "v", v)
	out["slog json"] = b.String()
	b.Reset()
	slog.New(slog.NewTextHandler(&b, nil)).Info("", "v", v)
	out["slog text"] = b.String()
	return out
}

// checkHidden looks for secrets in all that can be made of a value, and of the
// errors that it wraps.
func checkHidden(t testing.TB, secrets []string, v any) {
	t.Helper()
	for how, text := range renderings(t, v) {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%T as %s shows a secret: %s", v, how, text)
			}
		}
	}
	if err, ok := v.(error); ok {
		if inner := errors.Unwrap(err); inner != nil {
			checkHidden(t, secrets, inner)
		}
	}
}

// checkAuthorizationHidden is checkHidden for an authorization, the header of
// which is a secret too, alone and inside other values.
func checkAuthorizationHidden(t testing.TB, secrets []string, a host.Authorization) {
	t.Helper()
	if _, credential, ok := strings.Cut(a.Header(), " "); ok {
		secrets = append(secrets, credential)
	}
	type call struct{ authorization host.Authorization }
	checkHidden(t, secrets, a)
	checkHidden(t, secrets, &a)
	checkHidden(t, secrets, call{a})
	checkHidden(t, secrets, &call{a})
	if a.Cause != nil {
		checkHidden(t, secrets, a.Cause)
	}
}
