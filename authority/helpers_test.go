package authority_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// start is the captured registration's second.
var start = time.Date(2026, 11, 24, 15, 16, 8, 0, time.UTC)

const base = "/backend-api"

// backend is an authority behind a server on the loopback interface, with a
// clock that stands until it is moved.
type backend struct {
	*authority.Authority
	url string // of the server, without a path

	mu       sync.Mutex
	now      time.Time
	observed []authority.Request
}

func newBackend(t *testing.T, o authority.Options) *backend {
	t.Helper()
	b := &backend{now: start}
	o.Now = b.clock
	o.Observe = func(r authority.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.observed = append(b.observed, r)
	}
	var err error
	if b.Authority, err = authority.New(o); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

func (b *backend) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *backend) advance(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// last is what was observed of the last request.
func (b *backend) last() authority.Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.observed[len(b.observed)-1]
}

// request is one request to a backend.
type request struct {
	method, path string
	// headers are names and values, in turns; an empty value is not sent.
	headers []string
	body    string
}

// answer is a response, its body decoded.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

// code is the code of an error body.
func (a answer) code() string {
	e, _ := a.body["error"].(map[string]any)
	code, _ := e["code"].(string)
	return code
}

func (b *backend) do(t testing.TB, r request) answer {
	t.Helper()
	req, err := http.NewRequest(r.method, b.url+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(r.headers); i += 2 {
		if r.headers[i+1] != "" {
			req.Header.Add(r.headers[i], r.headers[i+1])
		}
	}
	return send(t, http.DefaultTransport, req)
}

func send(t testing.TB, transport http.RoundTripper, r *http.Request) answer {
	t.Helper()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header}
	if err := json.Unmarshal(text, &a.body); err != nil {
		t.Fatalf("%s %s answered %d %q: %v", r.Method, r.URL, resp.StatusCode, text, err)
	}
	return a
}

// direct hands requests to a handler without a connection.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}

// check compares the verdict with what is wanted, and the observation with the
// verdict.
func (b *backend) check(t *testing.T, a answer, status int, code string) {
	t.Helper()
	if a.status != status || a.code() != code {
		t.Errorf("got %d %q, want %d %q; body %v", a.status, a.code(), status, code, a.body)
	}
	if last := b.last(); last.Status != status || last.Error != code {
		t.Errorf("observed %d %q, want %d %q", last.Status, last.Error, status, code)
	}
	if (a.status == http.StatusUnauthorized) != (a.header.Get("WWW-Authenticate") != "") {
		t.Errorf("status %d with WWW-Authenticate %q", a.status, a.header.Values("WWW-Authenticate"))
	}
}

func identityPath(base string) string { return base + "/v1/agent/register" }

func taskPath(base, agentRuntimeID string) string {
	return base + "/v1/agent/" + agentRuntimeID + "/task/register"
}

// mint asks for a biscuit and returns it.
func (b *backend) mint(t testing.TB, accessToken, path string) string {
	t.Helper()
	a := b.do(t, request{"GET", base + "/authenticate_app_v2", []string{
		"Authorization", "Bearer " + accessToken,
		"X-Original-Method", "POST",
		"X-Original-Url", b.url + path,
	}, ""})
	biscuit := a.header.Get("X-OpenAI-Authorization")
	if a.status != http.StatusOK || biscuit == "" {
		t.Fatalf("no biscuit: %d %v", a.status, a.body)
	}
	return biscuit
}

// agent is a registered agent.
type agent struct {
	key             *core.PrivateKey
	runtimeID, task string
}

func newKey(t testing.TB, seed byte) *core.PrivateKey {
	t.Helper()
	entropy := make([]byte, 32)
	entropy[0] = seed
	k, err := core.NewPrivateKey(entropy)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func identityBody(t testing.TB, k *core.PrivateKey) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"abom": map[string]string{
			"agent_version": "0.123.0", "agent_harness_id": "codex-cli", "running_location": "cli-linux",
		},
		"agent_public_key": k.Public().OpenSSH(),
		"capabilities":     []string{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func proofBody(t testing.TB, k *core.PrivateKey, agentRuntimeID string, at time.Time) string {
	t.Helper()
	proof, err := core.SignRegistration(k, agentRuntimeID, at.Unix())
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{"signature": proof.Signature, "timestamp": proof.Timestamp})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// register registers a key, without a task.
func (b *backend) register(t testing.TB, s authority.Session, k *core.PrivateKey) agent {
	t.Helper()
	a := b.do(t, request{"POST", identityPath(base), []string{
		"X-OpenAI-Authorization", b.mint(t, s.AccessToken, identityPath(base)),
	}, identityBody(t, k)})
	id, ok := a.body["agent_runtime_id"].(string)
	if a.status != http.StatusOK || !ok {
		t.Fatalf("identity registration: %d %v", a.status, a.body)
	}
	return agent{key: k, runtimeID: id}
}

// grant registers a task.
func (b *backend) grant(t testing.TB, s authority.Session, g agent) agent {
	t.Helper()
	path := taskPath(base, g.runtimeID)
	a := b.do(t, request{"POST", path, []string{
		"X-OpenAI-Authorization", b.mint(t, s.AccessToken, path),
	}, proofBody(t, g.key, g.runtimeID, b.clock())})
	sealed, ok := a.body["encrypted_task_id"].(string)
	if a.status != http.StatusOK || !ok {
		t.Fatalf("task registration: %d %v", a.status, a.body)
	}
	task, err := core.OpenTaskID(g.key, sealed)
	if err != nil {
		t.Fatal(err)
	}
	g.task = task
	return g
}

// assertion is the header of an agent's call at a time.
func (g agent) assertion(t testing.TB, at time.Time) string {
	t.Helper()
	header, err := core.BuildAssertion(g.key, g.runtimeID, g.task, at.Unix())
	if err != nil {
		t.Fatal(err)
	}
	return header
}

// envelopeOf is what an assertion says.
func envelopeOf(t testing.TB, header string) wire.Envelope {
	t.Helper()
	i, err := core.ParseAssertion(header)
	if err != nil {
		t.Fatal(err)
	}
	return *i.Envelope
}
