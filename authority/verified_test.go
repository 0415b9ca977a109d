package authority

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
)

// changing is a directory of one agent and one task, which the tests change.
type changing struct {
	agent Agent
	task  Task
	err   error
}

func (c *changing) Agent(_ context.Context, id string) (Agent, error) {
	if id != c.agent.RuntimeID {
		return Agent{}, ErrUnknownAgent
	}
	return c.agent, c.err
}

func (c *changing) Task(context.Context, string, string) (Task, error) { return c.task, c.err }

// counted is a verifier whose checks of signatures are counted.
type counted struct {
	*Verifier
	checks int
}

func newCounted(t testing.TB, o VerifierOptions) *counted {
	t.Helper()
	v, err := NewVerifier(o)
	if err != nil {
		t.Fatal(err)
	}
	c := &counted{Verifier: v}
	v.proofs.assertion = func(a core.ReceivedAssertion, p *core.PublicKey) error {
		c.checks++
		if a.AgentRuntimeID == "" {
			t.Error("what is checked is no assertion")
		}
		return a.CheckSignature(p)
	}
	return c
}

func keyOf(t testing.TB, seed string) *core.PrivateKey {
	t.Helper()
	k, err := core.NewPrivateKey([]byte(strings.Repeat(seed, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func asserted(t testing.TB, k *core.PrivateKey, agent, task string, at time.Time) string {
	t.Helper()
	header, err := core.BuildAssertion(k, agent, task, at.Unix())
	if err != nil {
		t.Fatal(err)
	}
	return header
}

// TestRemembered: a header that was verified a moment ago costs no second check of the
// signature, and gets in nobody whom a new one would not.
func TestRemembered(t *testing.T) {
	k, other := keyOf(t, "a"), keyOf(t, "b")
	second := time.Unix(1795533368, 0)
	header := asserted(t, k, "agent-1", "task-1", second)
	same, err := core.ParsePublicKey(k.Public().OpenSSH())
	if err != nil {
		t.Fatal(err)
	}
	long := asserted(t, k, strings.Repeat("a", 1000), "task-1", second)
	for _, tt := range []struct {
		name string
		// first is the first request's header, if it is another.
		first, header string
		change        func(c *changing, now *time.Time)
		most          int
		checks        int // of the second request
		code          string
	}{
		{name: "the same", header: header},
		{name: "parsed again from the database", header: header, change: func(c *changing, _ *time.Time) { c.agent.PublicKey = same }},
		{name: "a second later", header: header, change: func(_ *changing, now *time.Time) { *now = now.Add(time.Second) }},
		{name: "at the end of the skew", header: header, change: func(_ *changing, now *time.Time) { *now = now.Add(DefaultSkew) }},
		{name: "after it", header: header, change: func(_ *changing, now *time.Time) { *now = now.Add(DefaultSkew + time.Second) }, code: CodeTimestampSkew},
		{name: "the clock was set back", header: header, change: func(_ *changing, now *time.Time) { *now = now.Add(-DefaultSkew - time.Second) }, code: CodeTimestampSkew},
		{name: "the agent was revoked", header: header, change: func(c *changing, _ *time.Time) { c.agent.RuntimeID = "" }, checks: 1, code: CodeUnknownAgent},
		{name: "it has another key", header: header, change: func(c *changing, _ *time.Time) { c.agent.PublicKey = other.Public() }, checks: 1, code: CodeUnknownAgent},
		{name: "the task has expired", header: header, change: func(c *changing, _ *time.Time) { c.task.Status = TaskExpired }, code: CodeTaskExpired},
		{name: "the task is gone", header: header, change: func(c *changing, _ *time.Time) { c.task = Task{} }, code: CodeUnknownTask},
		{name: "another account", header: header, change: func(c *changing, _ *time.Time) { c.agent.AccountID = "acct-2" }, code: CodeAccountMismatch},
		{name: "a FedRAMP account now", header: header, change: func(c *changing, _ *time.Time) { c.agent.FedRAMP = true }, code: CodeFedRAMPRequired},
		{name: "the directory fails", header: header, change: func(c *changing, _ *time.Time) { c.err = errors.New("away") }, code: CodeDirectoryFailed},

		{name: "another second", first: asserted(t, k, "agent-1", "task-1", second.Add(time.Second)), header: header, checks: 1},
		{name: "another form of the scheme", header: "agentassertion" + strings.TrimPrefix(header, "AgentAssertion"), first: header, checks: 1},
		{name: "the other's signature", first: header, header: asserted(t, other, "agent-1", "task-1", second), checks: 1, code: CodeUnknownAgent},
		{name: "refused before", first: asserted(t, other, "agent-1", "task-1", second), header: asserted(t, other, "agent-1", "task-1", second), checks: 1, code: CodeUnknownAgent},
		{name: "cut off", first: header, header: header[:len(header)-1], code: CodeInvalidAssertion},
		{name: "a byte more", first: header, header: header + "A", code: CodeInvalidAssertion},
		{name: "none is remembered", header: header, most: -1, checks: 1},
		{name: "too long", header: long, checks: 1, change: func(c *changing, _ *time.Time) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := second
			c := &changing{
				agent: Agent{RuntimeID: "agent-1", PublicKey: k.Public(), AccountID: "acct-1"},
				task:  Task{ID: "task-1", AgentRuntimeID: "agent-1", Status: TaskActive},
			}
			if tt.header == long {
				c.agent.RuntimeID = strings.Repeat("a", 1000)
				c.task.AgentRuntimeID = c.agent.RuntimeID
			}
			var last Decision
			v := newCounted(t, VerifierOptions{
				Agents: c, Now: func() time.Time { return now }, MaxRemembered: tt.most,
				Decided: func(_ context.Context, d Decision) { last = d },
			})
			verify := func(header string) (Principal, error) {
				return v.Verify(&http.Request{Header: http.Header{"Authorization": {header}, "Chatgpt-Account-Id": {"acct-1"}}})
			}
			if tt.first == "" {
				tt.first = tt.header
			}
			before, err := verify(tt.first)
			if (err == nil) != (tt.name != "refused before") || last.Remembered || v.checks != 1 {
				t.Fatalf("the first got %v after %d checks, remembered: %v", err, v.checks, last.Remembered)
			}
			if tt.change != nil {
				tt.change(c, &now)
			}
			p, err := verify(tt.header)
			if code := Reason(err); v.checks != 1+tt.checks || tt.code == "" && err != nil || tt.code != "" && asError(err).Code != tt.code {
				t.Errorf("got %v (%s) after %d checks, want %q after %d", err, code, v.checks-1, tt.code, tt.checks)
			}
			if wanted := tt.checks == 0 && tt.code != CodeInvalidAssertion && tt.code != CodeDirectoryFailed; last.Remembered != wanted {
				t.Errorf("the decision says %v, want %v", last.Remembered, wanted)
			}
			if tt.code == "" && tt.first == tt.header && p != before {
				t.Errorf("got %+v, before %+v", p, before)
			}
		})
	}
}

// TestRememberedIsAskedAboutReplays: each time, and the last word is the hook's.
func TestRememberedIsAskedAboutReplays(t *testing.T) {
	k, now := keyOf(t, "a"), time.Unix(1795533368, 0)
	memory, err := NewMemoryReplays(MemoryReplaysOptions{})
	if err != nil {
		t.Fatal(err)
	}
	v := newCounted(t, VerifierOptions{
		Agents: &changing{
			agent: Agent{RuntimeID: "agent-1", PublicKey: k.Public()},
			task:  Task{ID: "task-1", AgentRuntimeID: "agent-1", Status: TaskActive},
		},
		Now: func() time.Time { return now }, Replayed: memory.Replayed,
	})
	for n, want := range []string{"", CodeReplayedAssertion} {
		_, err := v.Verify(&http.Request{Header: http.Header{"Authorization": {asserted(t, k, "agent-1", "task-1", now)}}})
		if Reason(err) != want || v.checks != 1 {
			t.Errorf("request %d: got %v after %d checks", n, err, v.checks)
		}
	}
}

// TestRememberedIsBounded, however many headers the owners of keys sign, and what is
// old is dropped.
func TestRememberedIsBounded(t *testing.T) {
	const limit = 256
	h := newVerifiedHeaders(limit)
	k, now := keyOf(t, "a").Public(), time.Unix(1795533368, 0)
	held := func() (n int) {
		for i := range h.shards {
			n += len(h.shards[i].young) + len(h.shards[i].old)
		}
		return n
	}
	header := func(n int) string { return fmt.Sprint("header ", n) }
	for n := range 10 * limit {
		h.add(now, header(n), verifiedHeader{by: k})
		if h.find(header(n)).by != k {
			t.Fatalf("header %d is not remembered", n)
		}
		if held() > limit {
			t.Fatalf("%d are held after %d", held(), n)
		}
	}
	if n := held(); n < limit/2 {
		t.Errorf("only %d are held", n)
	}
	for n := range 10 * limit { // everywhere
		h.add(now.Add(generation), header(-n), verifiedHeader{by: k})
		h.add(now.Add(2*generation), header(-n), verifiedHeader{by: k})
	}
	for n := range 10 * limit {
		if n > 0 && h.find(header(n)).by != nil {
			t.Fatalf("header %d is still remembered", n)
		}
	}
	// A clock that was set back does not keep a generation for ever.
	h = newVerifiedHeaders(limit)
	h.add(now, "a", verifiedHeader{by: k})
	s, _ := h.shardOf("a")
	h.add(now.Add(-time.Hour), "a", verifiedHeader{by: k})
	if !s.since.Equal(now.Add(-time.Hour)) {
		t.Error("the generation has not ended")
	}
	// A generation ends when it is old enough, and not before.
	for age, want := range map[time.Duration]bool{generation - 1: false, generation: true} {
		h = newVerifiedHeaders(limit)
		h.add(now, "a", verifiedHeader{by: k})
		h.add(now.Add(age), "a", verifiedHeader{by: k})
		s, _ = h.shardOf("a")
		if ended := s.since.After(now); ended != want {
			t.Errorf("at the age of %v the generation has ended: %v", age, ended)
		}
	}
	for size, want := range map[int]bool{maxRememberedHeader: true, maxRememberedHeader + 1: false} {
		h.add(now, strings.Repeat("x", size), verifiedHeader{by: k})
		if is := h.find(strings.Repeat("x", size)).by != nil; is != want {
			t.Errorf("a header of %d bytes is remembered: %v", size, is)
		}
	}
	if newVerifiedHeaders(1).perGeneration != 1 {
		t.Error("the least is not one")
	}
}

// TestRememberedAtOnce: requests of several goroutines, with headers that are good and
// that are not.
func TestRememberedAtOnce(t *testing.T) {
	k, other, now := keyOf(t, "a"), keyOf(t, "b"), time.Unix(1795533368, 0)
	v, err := NewVerifier(VerifierOptions{
		Agents: &changing{
			agent: Agent{RuntimeID: "agent-1", PublicKey: k.Public()},
			task:  Task{ID: "task-1", AgentRuntimeID: "agent-1", Status: TaskActive},
		},
		Now: func() time.Time { return now }, MaxRemembered: 32,
	})
	if err != nil {
		t.Fatal(err)
	}
	var good, bad []string
	for n := range 40 {
		at := now.Add(time.Duration(n) * time.Second)
		good = append(good, asserted(t, k, "agent-1", "task-1", at))
		bad = append(bad, asserted(t, other, "agent-1", "task-1", at))
	}
	var wrong atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 3 {
				for n := range good {
					for header, want := range map[string]string{good[n]: "", bad[n]: CodeInvalidSignature} {
						if _, err := v.Verify(&http.Request{Header: http.Header{"Authorization": {header}}}); Reason(err) != want {
							wrong.Add(1)
						}
					}
				}
			}
		})
	}
	all.Wait()
	if n := wrong.Load(); n != 0 {
		t.Errorf("%d verdicts were wrong", n)
	}
}

// TestVerifyAllocations: a header is read once.
func TestVerifyAllocations(t *testing.T) {
	k, now := keyOf(t, "a"), time.Unix(1795533368, 0)
	r := &http.Request{Header: http.Header{"Authorization": {asserted(t, k, "agent-1", "task-1", now)}}}
	for most, want := range map[int]float64{-1: 22, 0: 4} {
		v, err := NewVerifier(VerifierOptions{
			Agents: &changing{
				agent: Agent{RuntimeID: "agent-1", PublicKey: k.Public()},
				task:  Task{ID: "task-1", AgentRuntimeID: "agent-1", Status: TaskActive},
			},
			Now: func() time.Time { return now }, MaxRemembered: most,
		})
		if err != nil {
			t.Fatal(err)
		}
		got := testing.AllocsPerRun(100, func() {
			if _, err := v.Verify(r); err != nil {
				t.Error(err)
			}
		})
		if got > want {
			t.Errorf("with MaxRemembered %d there are %v allocations, want at most %v", most, got, want)
		}
	}
}
