package core_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// TestReceivedAssertion: an assertion that is read first and checked later gets the
// verdict that the vectors have for one call.
func TestReceivedAssertion(t *testing.T) {
	checked := map[string]int{}
	for _, area := range []string{"envelopes", "instances"} {
		text, err := os.ReadFile("../testvectors/" + area + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Vectors []struct {
				ID, Method string
				Params     struct {
					Header    *string
					PublicKey string `json:"public_key"`
					Now, Skew json.Number
				}
				OK *struct {
					Form     string
					Envelope struct {
						AgentRuntimeID string `json:"agent_runtime_id"`
						TaskID         string `json:"task_id"`
						Timestamp      string
					}
					Instance struct {
						RuntimeAgentInstance string `json:"runtime_agent_instance"`
						ID                   string
						IssuedAt             int64 `json:"iat"`
					}
				}
				Error struct{ Code string }
			}
		}
		if err := json.Unmarshal(text, &file); err != nil {
			t.Fatal(err)
		}
		for _, v := range file.Vectors {
			form := map[string]string{"assertion.verify": wire.FormTask, "instance.verify": wire.FormInstance}[v.Method]
			if form == "" && v.Method != "assertion.inspect" || v.Params.Header == nil {
				continue
			}
			a, err := core.ReadAssertion(*v.Params.Header)
			if form != "" {
				p, keyErr := core.ParsePublicKey(v.Params.PublicKey)
				now, nowErr := v.Params.Now.Int64()
				skew, skewErr := v.Params.Skew.Int64()
				if keyErr != nil || nowErr != nil || skewErr != nil {
					continue // another's vector
				}
				if err == nil && a.Form != form {
					a, err = core.ReceivedAssertion{}, &core.Error{Code: core.CodeInvalidAssertion}
				}
				if err == nil {
					if err = a.CheckSignature(p); err == nil {
						err = a.CheckTime(now, skew)
					}
				}
			}
			if got := core.Code(err); v.OK == nil && got != v.Error.Code || v.OK != nil && err != nil {
				t.Errorf("%s: got %v, want %+v", v.ID, err, v.Error)
			}
			checked[v.Method+" "+v.Error.Code]++
			if v.OK == nil || err != nil {
				continue
			}
			want := core.AssertionClaims{
				Form: v.OK.Form, AgentRuntimeID: v.OK.Envelope.AgentRuntimeID, TaskID: v.OK.Envelope.TaskID,
				RuntimeAgentInstance: v.OK.Instance.RuntimeAgentInstance, ID: v.OK.Instance.ID, Timestamp: v.OK.Instance.IssuedAt,
			}
			if want.Form == wire.FormTask {
				want.Timestamp = a.Timestamp
				if s := timestampOf(t, a.Timestamp); s != v.OK.Envelope.Timestamp {
					t.Errorf("%s: the time is %s, want %s", v.ID, s, v.OK.Envelope.Timestamp)
				}
			}
			if a.AssertionClaims != want {
				t.Errorf("%s: got %+v, want %+v", v.ID, a.AssertionClaims, want)
			}
		}
	}
	for _, kind := range []string{
		"assertion.inspect ", "assertion.inspect invalid_assertion",
		"assertion.verify ", "assertion.verify invalid_assertion", "assertion.verify bad_signature", "assertion.verify timestamp_skew",
		"instance.verify ", "instance.verify invalid_assertion", "instance.verify bad_signature", "instance.verify timestamp_skew",
	} {
		if checked[kind] == 0 {
			t.Errorf("no vector was checked of %q: %v", kind, checked)
		}
	}
}

// timestampOf is how an assertion writes a time.
func timestampOf(t *testing.T, unix int64) string {
	t.Helper()
	k, err := core.NewPrivateKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	proof, err := core.SignRegistration(k, "a", unix)
	if err != nil {
		t.Fatal(err)
	}
	return proof.Timestamp
}

func TestReceivedAssertionShowsNoSignature(t *testing.T) {
	k, err := core.NewPrivateKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	header, err := core.BuildAssertion(k, "agent-1", "task-1", 0)
	if err != nil {
		t.Fatal(err)
	}
	a, err := core.ReadAssertion(header)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%v %+v %#v %x", a, &a, a, a); strings.Contains(got, "agent-1") || strings.Count(got, "hidden") != 4 {
		t.Error(got)
	}
}

func TestReceivedAssertionTime(t *testing.T) {
	for _, tt := range []struct {
		at, now, skew int64
		code          string
	}{
		{100, 100, 0, ""},
		{100, 110, 10, ""},
		{100, 90, 10, ""},
		{100, 111, 10, core.CodeTimestampSkew},
		{100, 89, 10, core.CodeTimestampSkew},
		{100, 100, -1, core.CodeInvalidSkew},
		{100, math.MaxInt64, 10, core.CodeInvalidTime},
	} {
		if err := (core.AssertionClaims{Timestamp: tt.at}).CheckTime(tt.now, tt.skew); core.Code(err) != tt.code {
			t.Errorf("%+v: got %v", tt, err)
		}
	}
}

func TestPublicKeyEqual(t *testing.T) {
	keys := make([]*core.PublicKey, 2)
	for i := range keys {
		k, err := core.NewPrivateKey(append(make([]byte, 31), byte(i)))
		if err != nil {
			t.Fatal(err)
		}
		keys[i] = k.Public()
	}
	again, err := core.ParsePublicKey(keys[0].OpenSSH())
	if err != nil {
		t.Fatal(err)
	}
	if !again.Equal(keys[0]) || again.Equal(keys[1]) {
		t.Error("Equal does not compare keys")
	}
}
