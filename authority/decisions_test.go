package authority_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// collated is a directory in a database that compares as many do: in any case, and
// without the spaces at the end.
type collated struct{ directory }

func fold(id string) string { return strings.ToLower(strings.TrimRight(id, " ")) }

func (d collated) Agent(ctx context.Context, id string) (authority.Agent, error) {
	return d.directory.Agent(ctx, fold(id))
}

func (d collated) Task(ctx context.Context, agent, task string) (authority.Task, error) {
	return d.directory.Task(ctx, fold(agent), fold(task))
}

// stolen is a directory that looks at the task's id alone.
type stolen struct{ directory }

func (d stolen) Task(context.Context, string, string) (authority.Task, error) {
	return authority.Task{ID: "t", AgentRuntimeID: "b", Status: authority.TaskActive}, nil
}

// TestPrincipalIsTheDirectorys: a handler keeps one record for one agent, however a
// database compares.
func TestPrincipalIsTheDirectorys(t *testing.T) {
	k := newKey(t, 1)
	known := directory{
		agents: map[string]authority.Agent{"a": {PublicKey: k.Public(), AccountID: "acct-1"}},
		tasks:  map[[2]string]authority.TaskStatus{{"a", "t"}: authority.TaskActive, {"a", "old"}: authority.TaskExpired},
	}
	for _, tt := range []struct {
		name         string
		agents       authority.Directory
		agent, task  string
		code, reason string
	}{
		{"as they are", collated{known}, "a", "t", "", ""},
		{"agent in another case", collated{known}, "A", "t", authority.CodeUnknownAgent, authority.CodeOtherSpelling},
		{"agent with a space", collated{known}, "a ", "t", authority.CodeUnknownAgent, authority.CodeOtherSpelling},
		{"task in another case", collated{known}, "a", "T", authority.CodeUnknownTask, authority.CodeOtherSpelling},
		{"expired task with a space", collated{known}, "a", "old ", authority.CodeUnknownTask, authority.CodeOtherSpelling},
		{"another agent's task", stolen{known}, "a", "t", authority.CodeUnknownTask, authority.CodeOtherSpelling},
		{"no task", collated{known}, "a", "x", authority.CodeUnknownTask, authority.CodeUnknownTask},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := newVerifier(t, authority.VerifierOptions{Agents: tt.agents, Now: func() time.Time { return start }})
			header, err := core.BuildAssertion(k, tt.agent, tt.task, start.Unix())
			if err != nil {
				t.Fatal(err)
			}
			p, err := v.Verify(&http.Request{Header: http.Header{"Authorization": {header}}})
			if tt.code == "" {
				if want := (authority.Principal{Form: wire.FormTask, AgentRuntimeID: "a", TaskID: "t", AccountID: "acct-1", Timestamp: start}); err != nil || p != want {
					t.Errorf("got %+v, %v, want %+v", p, err, want)
				}
				return
			}
			refusal, ok := errors.AsType[*authority.Error](err)
			if !ok || refusal.Status != 401 || refusal.Code != tt.code || authority.Reason(err) != tt.reason || p != (authority.Principal{}) {
				t.Errorf("got %+v, %v for the reason %q; want %q, %q", p, err, authority.Reason(err), tt.code, tt.reason)
			}
		})
	}
}

func TestNewVerifierRefusesOptions(t *testing.T) {
	for name, o := range map[string]authority.VerifierOptions{
		"no directory":     {},
		"negative":         {Agents: directory{}, Skew: -time.Second},
		"part of a second": {Agents: directory{}, Skew: time.Second / 2},
		"and a half":       {Agents: directory{}, Skew: 90*time.Second + time.Second/2},
		"huge":             {Agents: directory{}, Skew: authority.MaxSkew + time.Second},
		"largest":          {Agents: directory{}, Skew: 1<<63 - 1},
		"smallest":         {Agents: directory{}, Skew: -1 << 63},
	} {
		v, err := authority.NewVerifier(o)
		if refusal, ok := errors.AsType[*authority.Error](err); v != nil || !ok || refusal.Code != authority.CodeInvalidOptions {
			t.Errorf("%s: got %v, %v", name, v, err)
		}
	}
	// What was not made is no way in, either.
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "AgentAssertion x")
	for _, h := range []http.Handler{
		new(authority.Verifier).Wrap(http.NotFoundHandler()),
		new(authority.Verifier).WrapWithBearer(http.NotFoundHandler(), authority.Bearer{}),
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusInternalServerError {
			t.Errorf("the zero verifier answers %d", w.Code)
		}
	}
}

// shown is all that a client can see of an answer.
func shown(t *testing.T, h http.Handler, r *http.Request) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var b strings.Builder
	fmt.Fprintln(&b, w.Code)
	if err := w.Header().Write(&b); err != nil { // sorted
		t.Fatal(err)
	}
	b.Write(w.Body.Bytes())
	return b.String()
}

// TestUnknownAgentsAndBadSignaturesLookAlike, byte for byte, whatever else is wrong
// with the request.
func TestUnknownAgentsAndBadSignaturesLookAlike(t *testing.T) {
	var reason string
	k, other := newKey(t, 1), newKey(t, 2)
	v := newVerifier(t, authority.VerifierOptions{
		Agents: collated{directory{
			agents: map[string]authority.Agent{"a": {PublicKey: k.Public(), AccountID: "acct-1", FedRAMP: true}},
			tasks:  map[[2]string]authority.TaskStatus{{"a", "t"}: authority.TaskActive},
		}},
		Now:     func() time.Time { return start },
		Decided: func(_ context.Context, d authority.Decision) { reason = authority.Reason(d.Err) },
	})
	wrapped := v.Wrap(http.NotFoundHandler())
	b := newBackend(t, authority.Options{})
	g := b.grant(t, b.SignIn("acct-1", "user-1"), b.register(t, b.SignIn("acct-1", "user-1"), k))

	call := func(key *core.PrivateKey, agent, task string, after time.Duration, account string) *http.Request {
		header, err := core.BuildAssertion(key, agent, task, start.Add(after).Unix())
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", base+"/codex/models", nil)
		r.Header.Set("Authorization", header)
		r.Header.Set("ChatGPT-Account-ID", account)
		return r
	}
	for _, tt := range []struct {
		task, account string
		after         time.Duration
	}{
		{"t", "acct-1", 0},
		{"t", "acct-2", 0},
		{"x", "acct-1", 0},
		{"t", "acct-1", -time.Hour},
		{"t", "acct-1", time.Hour},
	} {
		unknown := shown(t, wrapped, call(other, "b", tt.task, tt.after, tt.account))
		if reason != authority.CodeUnknownAgent || !strings.Contains(unknown, authority.CodeUnknownAgent) || !strings.Contains(unknown, "401") {
			t.Errorf("%+v: an unknown agent gets %s for the reason %q", tt, unknown, reason)
		}
		forged := shown(t, wrapped, call(other, "a", tt.task, tt.after, tt.account))
		if forged != unknown || reason != authority.CodeInvalidSignature {
			t.Errorf("%+v: a bad signature gets %s for the reason %q, an unknown agent %s", tt, forged, reason, unknown)
		}
		respelled := shown(t, wrapped, call(k, "A", tt.task, tt.after, tt.account))
		if respelled != unknown || reason != authority.CodeOtherSpelling {
			t.Errorf("%+v: another spelling gets %s for the reason %q, an unknown agent %s", tt, respelled, reason, unknown)
		}

		unknown = shown(t, b, call(other, "b", tt.task, tt.after, tt.account))
		if forged := shown(t, b, call(other, g.runtimeID, tt.task, tt.after, tt.account)); forged != unknown {
			t.Errorf("%+v: the authority answers a bad signature with %s, an unknown agent with %s", tt, forged, unknown)
		}
		if last := b.last(); last.Error != authority.CodeUnknownAgent || last.Reason != authority.CodeInvalidSignature || last.Verified || last.AccountID != "" {
			t.Errorf("observed %+v", last)
		}
	}
}

// TestTaskRegistrationsLookAlike, where the agent is unknown, or another account's, or
// has another key.
func TestTaskRegistrationsLookAlike(t *testing.T) {
	b := newBackend(t, authority.Options{})
	mine, foreign := b.SignIn("acct-1", "user-1"), b.SignIn("acct-2", "user-2")
	k, other := newKey(t, 1), newKey(t, 2)
	g, theirs := b.register(t, mine, k), b.register(t, foreign, other)

	for name, body := range map[string]func(agent string) string{
		"good time":      func(agent string) string { return proofBody(t, other, agent, start) },
		"old":            func(agent string) string { return proofBody(t, other, agent, start.Add(-time.Hour)) },
		"no time":        func(string) string { return `{"signature":"x","timestamp":"now"}` },
		"no base64":      func(string) string { return `{"signature":"!","timestamp":"2026-11-24T15:16:08Z"}` },
		"no signature":   func(string) string { return `{"timestamp":"2026-11-24T15:16:08Z"}` },
		"no body at all": func(string) string { return "" },
	} {
		for _, base := range []string{base, authAPI} {
			t.Run(name+base, func(t *testing.T) {
				register := func(agent string) (answer, observed string) {
					r := httptest.NewRequest("POST", b.url+taskPath(base, agent), strings.NewReader(body(agent)))
					if base != authAPI {
						r.Header.Set("X-OpenAI-Authorization", b.mint(t, mine.AccessToken, taskPath(base, agent)))
					}
					return shown(t, b, r), b.last().Reason
				}
				unknown, _ := register("agent-x")
				forged, reason := register(g.runtimeID)
				if forged != unknown {
					t.Errorf("an agent with another key gets %s for the reason %q, an unknown one %s", forged, reason, unknown)
				}
				if strings.Contains(forged, "404") != (reason == authority.CodeInvalidSignature) {
					t.Errorf("%s comes for the reason %q", forged, reason)
				}
				if base == authAPI {
					return // whose the agent is, is not known
				}
				if foreign, reason := register(theirs.runtimeID); foreign != unknown {
					t.Errorf("another account's agent gets %s for the reason %q, an unknown one %s", foreign, reason, unknown)
				}
			})
		}
	}
}

// TestDecided: the hook is told once of each request, and what the client is not.
func TestDecided(t *testing.T) {
	k := newKey(t, 1)
	broken := errors.New("the database is away")
	known := directory{
		agents: map[string]authority.Agent{"a": {PublicKey: k.Public(), AccountID: "acct-1", FedRAMP: true}},
		tasks:  map[[2]string]authority.TaskStatus{{"a", "t"}: authority.TaskActive, {"a", "old"}: authority.TaskExpired},
	}
	sign := func(k *core.PrivateKey, agent, task string) string {
		header, err := core.BuildAssertion(k, agent, task, start.Unix())
		if err != nil {
			t.Fatal(err)
		}
		return header
	}
	good := authority.Principal{Form: wire.FormTask, AgentRuntimeID: "a", TaskID: "t", AccountID: "acct-1", FedRAMP: true, Timestamp: start}
	for _, tt := range []struct {
		name          string
		agents        authority.Directory
		authorization string
		fedRAMP       string
		agent, task   string // that are claimed
		reason        string
	}{
		{"good", known, sign(k, "a", "t"), "true", "a", "t", ""},
		{"none", known, "", "", "", "", authority.CodeUnauthenticated},
		{"garbage", known, "AgentAssertion x", "", "", "", authority.CodeInvalidAssertion},
		{"unknown agent", known, sign(k, "b", "t"), "", "b", "t", authority.CodeUnknownAgent},
		{"bad signature", known, sign(newKey(t, 2), "a", "t"), "", "a", "t", authority.CodeInvalidSignature},
		{"unknown task", known, sign(k, "a", "x"), "", "a", "x", authority.CodeUnknownTask},
		{"expired task", known, sign(k, "a", "old"), "", "a", "old", authority.CodeTaskExpired},
		{"FedRAMP", known, sign(k, "a", "t"), "", "a", "t", authority.CodeFedRAMPRequired},
		{"directory fails", directory{failure: broken}, sign(k, "a", "t"), "", "a", "t", authority.CodeDirectoryFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			type key struct{}
			var decisions []authority.Decision
			v := newVerifier(t, authority.VerifierOptions{
				Agents: tt.agents,
				Now:    func() time.Time { return start },
				Decided: func(ctx context.Context, d authority.Decision) {
					if ctx.Value(key{}) != "here" {
						t.Error("the context is not the request's")
					}
					decisions = append(decisions, d)
				},
			})
			r := httptest.NewRequestWithContext(context.WithValue(t.Context(), key{}, "here"), "GET", "/", nil)
			if tt.authorization != "" {
				r.Header.Set("Authorization", tt.authorization)
			}
			if tt.fedRAMP != "" {
				r.Header.Set("X-OpenAI-Fedramp", tt.fedRAMP)
			}
			p, err := v.Verify(r)
			if len(decisions) != 1 {
				t.Fatalf("told of %d decisions", len(decisions))
			}
			d := decisions[0]
			if d.Err != err || d.Principal != p || !d.Time.Equal(start) || authority.Reason(d.Err) != tt.reason {
				t.Errorf("told of %+v for the reason %q, want %q; Verify says %+v, %v", d, authority.Reason(d.Err), tt.reason, p, err)
			}
			if d.ClaimedAgentRuntimeID != tt.agent || d.ClaimedTaskID != tt.task {
				t.Errorf("claimed are %q, %q", d.ClaimedAgentRuntimeID, d.ClaimedTaskID)
			}
			if want := map[bool]authority.Principal{true: good}[tt.reason == ""]; p != want {
				t.Errorf("got %+v, want %+v", p, want)
			}
			if _, credential, _ := strings.Cut(tt.authorization, " "); credential != "" && credential != "x" {
				for _, text := range []string{fmt.Sprintf("%+v", d), fmt.Sprintf("%#v", d)} {
					if strings.Contains(text, credential) || strings.Contains(text, envelopeOf(t, tt.authorization).Signature) {
						t.Errorf("the decision shows the assertion: %s", text)
					}
				}
			}
		})
	}
	if got := authority.Reason(io.EOF) + authority.Reason(nil); got != "" {
		t.Errorf("no Error, and the reason %q", got)
	}
}

// respell is the same assertion in an envelope of another form.
func respell(t *testing.T, header string) string {
	t.Helper()
	e := envelopeOf(t, header)
	text := fmt.Sprintf(`{ "timestamp":%q, "task_id":%q, "signature":%q, "agent_runtime_id":%q }`, e.Timestamp, e.TaskID, e.Signature, e.AgentRuntimeID)
	return core.Scheme + " " + base64.RawURLEncoding.EncodeToString([]byte(text))
}

// TestReplayed: the hook is asked about what is good in every other respect, and
// what it says counts.
func TestReplayed(t *testing.T) {
	k := newKey(t, 1)
	known := directory{
		agents: map[string]authority.Agent{"a": {PublicKey: k.Public(), AccountID: "acct-1", FedRAMP: true}},
		tasks:  map[[2]string]authority.TaskStatus{{"a", "t"}: authority.TaskActive, {"a", "u"}: authority.TaskActive},
	}
	var uses []authority.Use
	var replayed bool
	var failure error
	v := newVerifier(t, authority.VerifierOptions{
		Agents: known,
		Now:    func() time.Time { return start },
		Skew:   time.Minute,
		Replayed: func(_ context.Context, u authority.Use) (bool, error) {
			uses = append(uses, u)
			return replayed, failure
		},
	})
	sign := func(k *core.PrivateKey, task string, after time.Duration) string {
		header, err := core.BuildAssertion(k, "a", task, start.Add(after).Unix())
		if err != nil {
			t.Fatal(err)
		}
		return header
	}
	verify := func(header, fedRAMP string) error {
		r := &http.Request{Header: http.Header{"Authorization": {header}}}
		r.Header.Set("X-OpenAI-Fedramp", fedRAMP)
		_, err := v.Verify(r)
		return err
	}
	good := sign(k, "t", -time.Second)

	for name, err := range map[string]error{
		"bad signature": verify(sign(newKey(t, 2), "t", 0), "true"),
		"old":           verify(sign(k, "t", -time.Hour), "true"),
		"unknown task":  verify(sign(k, "x", 0), "true"),
		"no FedRAMP":    verify(good, "false"),
	} {
		if err == nil || len(uses) != 0 {
			t.Errorf("%s: %v, and asked about %+v", name, err, uses)
		}
	}
	for _, header := range []string{good, respell(t, good), sign(k, "u", -time.Second), sign(k, "t", 0)} {
		if err := verify(header, "true"); err != nil {
			t.Error(err)
		}
	}
	if len(uses) != 4 {
		t.Fatalf("asked about %+v", uses)
	}
	first := uses[0]
	first.Digest = [32]byte{}
	if want := (authority.Use{AgentRuntimeID: "a", TaskID: "t", AccountID: "acct-1", Time: start, Expires: start.Add(time.Minute)}); first != want {
		t.Errorf("asked about %+v, want %+v", first, want)
	}
	if uses[0].Digest != uses[1].Digest || uses[0].Digest == uses[2].Digest || uses[0].Digest == uses[3].Digest {
		t.Errorf("the digests are %v", uses)
	}

	replayed = true
	if err := verify(good, "true"); authority.Reason(err) != authority.CodeReplayedAssertion || err.(*authority.Error).Status != 403 {
		t.Errorf("a replay: %v", err)
	}
	failure = errors.New("the cache is away")
	if err := verify(good, "true"); authority.Reason(err) != authority.CodeReplayCheckFailed || err.(*authority.Error).Status != 503 || !errors.Is(err, failure) {
		t.Errorf("a hook that fails: %v", err)
	}
}

// TestReplayedOfAnAuthority: without the hook, an assertion serves all calls of its
// second and more, as the reference client expects.
func TestReplayedOfAnAuthority(t *testing.T) {
	replays, err := authority.NewMemoryReplays(authority.MemoryReplaysOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]authority.Options{"without": {}, "with": {Replayed: replays.Replayed}} {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t, o)
			s := b.SignIn("acct-1", "user-1")
			g := b.grant(t, s, b.register(t, s, newKey(t, 1)))
			call := request{"GET", base + "/codex/models", []string{"Authorization", g.assertion(t, start)}, ""}
			b.check(t, b.do(t, call), 200, "")
			if name == "without" {
				b.check(t, b.do(t, call), 200, "")
				return
			}
			b.check(t, b.do(t, call), 403, authority.CodeReplayedAssertion)
			if last := b.last(); last.Verified || last.AccountID != "" {
				t.Errorf("observed %+v", last)
			}
			call.headers = []string{"Authorization", g.assertion(t, start.Add(time.Second))}
			b.check(t, b.do(t, call), 200, "")
		})
	}
}

// use is one of an account's assertions, by number.
func use(account string, n int, at time.Time) authority.Use {
	return authority.Use{
		Digest:    [32]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(len(account)), 1},
		AccountID: account, AgentRuntimeID: "agent-of-" + account, Time: at, Expires: at.Add(time.Minute),
	}
}

func TestMemoryReplays(t *testing.T) {
	for name, o := range map[string]authority.MemoryReplaysOptions{
		"negative total": {Max: authority.Limit{Total: -1}},
		"negative part":  {Max: authority.Limit{PerAccount: -1}},
		"negative reuse": {Reuse: -1},
	} {
		if m, err := authority.NewMemoryReplays(o); m != nil || authority.Reason(err) != authority.CodeInvalidOptions {
			t.Errorf("%s: got %v, %v", name, m, err)
		}
	}

	newReplays := func(o authority.MemoryReplaysOptions) func(u authority.Use, replayed bool, code string) {
		m, err := authority.NewMemoryReplays(o)
		if err != nil {
			t.Fatal(err)
		}
		return func(u authority.Use, replayed bool, code string) {
			t.Helper()
			if got, err := m.Replayed(t.Context(), u); got != replayed || authority.Reason(err) != code {
				t.Errorf("%+v: got %v, %v, want %v, %q", u, got, err, replayed, code)
			}
			if n := m.Len(); o.Max.Total > 0 && n > o.Max.Total {
				t.Errorf("%d are remembered", n)
			}
		}
	}
	const full, most = authority.CodeCapacityExceeded, authority.CodeQuotaExceeded
	t.Run("once", func(*testing.T) {
		check := newReplays(authority.MemoryReplaysOptions{})
		check(use("a", 1, start), false, "")
		check(use("a", 1, start), true, "")
		check(use("a", 1, start.Add(time.Minute-1)), true, "")
		check(use("a", 2, start), false, "")
	})
	t.Run("for some seconds", func(*testing.T) {
		check := newReplays(authority.MemoryReplaysOptions{Reuse: 2 * time.Second})
		check(use("a", 1, start), false, "")
		check(use("a", 1, start.Add(-time.Second)), false, "") // the clock was set back
		check(use("a", 1, start.Add(2*time.Second)), false, "")
		check(use("a", 1, start.Add(2*time.Second+1)), true, "")
	})
	t.Run("bounded", func(*testing.T) {
		check := newReplays(authority.MemoryReplaysOptions{Max: authority.Limit{Total: 5, PerAccount: 2}})
		check(use("a", 1, start), false, "")
		check(use("a", 2, start), false, "")
		check(use("a", 3, start), false, most)
		check(use("bb", 1, start), false, "") // is not kept out by the first
		check(use("bb", 2, start), false, "")
		check(use("ccc", 1, start), false, "")
		check(use("ccc", 2, start), false, full)
		check(use("a", 1, start), true, "")                  // and nothing was pushed out
		check(use("a", 1, start.Add(time.Minute)), true, "") // a request that took long
		later := start.Add(2 * time.Minute)
		check(use("ccc", 2, later), false, "") // what has expired is forgotten
		check(use("a", 3, later), false, "")
	})
	t.Run("agents of no account", func(*testing.T) {
		check := newReplays(authority.MemoryReplaysOptions{Max: authority.Limit{PerAccount: 1}})
		one, two := use("", 1, start), use("", 2, start)
		two.AgentRuntimeID = "agent-2"
		check(one, false, "")
		check(two, false, "")
	})
	t.Run("never grows", func(t *testing.T) {
		m, err := authority.NewMemoryReplays(authority.MemoryReplaysOptions{Max: authority.Limit{Total: 200, PerAccount: 200}})
		if err != nil {
			t.Fatal(err)
		}
		for n := range 10_000 {
			at := start.Add(time.Duration(n) * time.Second)
			if replayed, err := m.Replayed(t.Context(), use("a", n, at)); replayed || err != nil || m.Len() > 120 {
				t.Fatalf("use %d: %v, %v; %d are remembered", n, replayed, err, m.Len())
			}
		}
	})
}

// TestReplaysAtOnce: of many uses at once, one is the first.
func TestReplaysAtOnce(t *testing.T) {
	m, err := authority.NewMemoryReplays(authority.MemoryReplaysOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var first atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for n := range 100 {
				if replayed, err := m.Replayed(context.Background(), use("a", n, start)); err != nil {
					t.Error(err)
				} else if !replayed {
					first.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if first.Load() != 100 {
		t.Errorf("%d of 100 assertions were let through", first.Load())
	}
}
