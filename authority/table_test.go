package authority

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// FuzzTable compares a table with a list that is searched from end to end. Each
// byte is an operation.
func FuzzTable(f *testing.F) {
	f.Add([]byte("\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"))
	f.Add([]byte(strings.Repeat("\x01\x05\x09\x0d\x62\xa3\x40\xe3", 20)))
	f.Fuzz(func(t *testing.T, operations []byte) {
		type held struct {
			key     byte
			account string
			expires time.Time
			value   int
		}
		limit := Limit{Total: 6, PerAccount: 3}
		tab := newTable[byte, int](limit)
		var list []held
		now := time.Unix(0, 0)
		until := func(op byte) time.Time {
			if op>>6 == 3 {
				return time.Time{}
			}
			return now.Add(time.Duration(op>>6+1) * time.Second)
		}
		for n, op := range operations {
			key := op >> 2 & 15
			account := string('a' + rune(key%3))
			list = slices.DeleteFunc(list, func(h held) bool { return !h.expires.IsZero() && !now.Before(h.expires) })
			at := slices.IndexFunc(list, func(h held) bool { return h.key == key })
			value, ok := tab.get(now, key)
			if ok != (at >= 0) || ok && value != list[at].value {
				t.Fatalf("operation %d: key %d is %d, %v; in the list it is at %d", n, key, value, ok, at)
			}
			switch {
			case op&3 == 0:
				now = now.Add(time.Duration(key) * time.Second / 4)
			case op&3 == 1:
				err := tab.add(now, key, account, until(op), n)
				want := ""
				if mine := slices.DeleteFunc(slices.Clone(list), func(h held) bool { return h.account != account }); len(mine) == limit.PerAccount {
					want = CodeQuotaExceeded
				} else if len(list) == limit.Total {
					want = CodeCapacityExceeded
				}
				if at >= 0 {
					want = CodeInternal
				}
				if Reason(err) != want {
					t.Fatalf("operation %d: %v, want %q", n, err, want)
				}
				if err == nil {
					list = append(list, held{key, account, until(op), n})
				}
			case op&3 == 2:
				tab.replace(key, until(op), n)
				if at >= 0 {
					list[at].expires, list[at].value = until(op), n
				}
			case op&3 == 3:
				tab.remove(key)
				if at >= 0 {
					list = slices.Delete(list, at, at+1)
				}
			}
		}
		list = slices.DeleteFunc(list, func(h held) bool { return !h.expires.IsZero() && !now.Before(h.expires) })
		tab.forget(now)
		sum := 0
		for _, n := range tab.held {
			sum += n
		}
		if tab.len(now) != len(list) || sum != len(list) || len(tab.queue) > len(list) {
			t.Fatalf("%d are held, %d by account, %d to expire, and %d in the list", tab.len(now), sum, len(tab.queue), len(list))
		}
	})
}

// TestSessionsAreForgotten when they have expired.
func TestSessionsAreForgotten(t *testing.T) {
	now := time.Unix(1795533368, 0)
	a, err := New(Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		a.SignIn("acct-1", "user-1")
	}
	now = now.Add(tokenLifetime)
	a.SignIn("acct-1", "user-1")
	if n := len(a.sessions.rows); n != 1 {
		t.Errorf("%d sessions are held", n)
	}
}

// TestProofsAreForgotten when they are too old to be accepted, and there are never
// more of them than tasks.
func TestProofsAreForgotten(t *testing.T) {
	if taskMemory <= 2*MaxSkew+time.Second {
		t.Errorf("a task is remembered for %v, a proof for up to %v", taskMemory, 2*MaxSkew+time.Second)
	}
	now := time.Unix(1795533368, 0)
	a, err := New(Options{Now: func() time.Time { return now }, TaskResponse: TaskResponsePlain})
	if err != nil {
		t.Fatal(err)
	}
	k, err := core.NewPrivateKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	hold(t, a, now, Agent{RuntimeID: "agent-1", PublicKey: k.Public(), AccountID: "acct-1"}, "task-1")
	const skew = int(DefaultSkew / time.Second)
	for n := range 3 * skew {
		now = now.Add(time.Second)
		proof, err := core.SignRegistration(k, "agent-1", now.Unix())
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequest("POST", authAPIPath+"/v1/agent/agent-1/task/register",
			strings.NewReader(`{"signature":"`+proof.Signature+`","timestamp":"`+proof.Timestamp+`"}`)))
		if w.Code != http.StatusOK {
			t.Fatalf("registration %d: %d %s", n, w.Code, w.Body)
		}
		for id := range maps.Clone(a.tasks.rows) { // expired tasks count, too
			a.ExpireTask(id)
		}
		if proofs, tasks := len(a.proofs.rows), len(a.tasks.rows); proofs > skew+1 || proofs > tasks {
			t.Fatalf("after registration %d, %d proofs and %d tasks are held", n, proofs, tasks)
		}
	}
	a.RevokeAgent("agent-1")
	if proofs, tasks := len(a.proofs.rows), len(a.tasks.rows); proofs+tasks != 0 {
		t.Errorf("of a revoked agent, %d proofs and %d tasks are held", proofs, tasks)
	}
}

// TestEveryClaimCostsOneCheck: whether there is such an agent does not show in the
// time, most of which goes into the signature.
func TestEveryClaimCostsOneCheck(t *testing.T) {
	now := time.Unix(1795533368, 0)
	k, err := core.NewPrivateKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	other, err := core.NewPrivateKey([]byte(strings.Repeat("o", 32)))
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	hold(t, a, now, Agent{RuntimeID: "agent-1", PublicKey: k.Public(), AccountID: "acct-1"}, "task-1")
	var checks []string // what came of each
	a.verifier.proofs.assertion = func(a core.ReceivedAssertion, p *core.PublicKey) error {
		err := a.CheckSignature(p)
		checks = append(checks, core.Code(err))
		return err
	}
	a.verifier.proofs.registration = func(p *core.PublicKey, agentRuntimeID string, proof wire.RegistrationProof, now, skew int64) error {
		err := core.VerifyRegistration(p, agentRuntimeID, proof, now, skew)
		checks = append(checks, core.Code(err))
		return err
	}
	for _, agentRuntimeID := range []string{"agent-1", "agent-2"} {
		header, err := core.BuildAssertion(other, agentRuntimeID, "task-1", now.Unix())
		if err != nil {
			t.Fatal(err)
		}
		checks = nil
		_, err = a.verifier.Verify(&http.Request{Header: http.Header{"Authorization": {header}}})
		if !errors.Is(err, &Error{Code: CodeUnknownAgent}) || !slices.Equal(checks, []string{core.CodeBadSignature}) {
			t.Errorf("an assertion of %s: %v after the checks %q", agentRuntimeID, err, checks)
		}
		proof, err := core.SignRegistration(other, agentRuntimeID, now.Unix())
		if err != nil {
			t.Fatal(err)
		}
		checks = nil
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequest("POST", authAPIPath+"/v1/agent/"+agentRuntimeID+"/task/register",
			strings.NewReader(`{"signature":"`+proof.Signature+`","timestamp":"`+proof.Timestamp+`"}`)))
		if w.Code != http.StatusNotFound || !slices.Equal(checks, []string{core.CodeBadSignature}) {
			t.Errorf("a task registration of %s: %d after the checks %q", agentRuntimeID, w.Code, checks)
		}
	}
}
