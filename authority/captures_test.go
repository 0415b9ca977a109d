package authority_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// captures are transcripts of the reference client and a backend.
const captures = "../testvectors/captures"

// exchange is one line of a capture.
type exchange struct {
	Method   string            `json:"method"`
	Path     string            `json:"path"` // with the query
	Headers  map[string]string `json:"headers"`
	Body     string            `json:"body"`
	BodyLen  int               `json:"body_len"`
	Response struct {
		Status int             `json:"status"`
		Body   json.RawMessage `json:"body"`
		// PlainTask is the task id that the body holds sealed.
		PlainTask string `json:"plain_task"`
	} `json:"response"`
}

func readCapture(t *testing.T, name string) []exchange {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(captures, name))
	if err != nil {
		t.Fatal(err)
	}
	var all []exchange
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		var e exchange
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, e)
	}
	if len(all) == 0 {
		t.Fatalf("%s is empty", name)
	}
	return all
}

// TestCapturedAssertionsVerify checks what the reference client signed, to the
// byte, against the key that it registered.
func TestCapturedAssertionsVerify(t *testing.T) {
	for file, want := range map[string]int{
		"enabled.jsonl": 6, "unsupported-host.jsonl": 1, "task-registration-500.jsonl": 0,
	} {
		t.Run(file, func(t *testing.T) {
			var key *core.PublicKey
			var agentRuntimeID string
			known := directory{agents: map[string]authority.Agent{}, tasks: map[[2]string]authority.TaskStatus{}}
			assertions := 0
			for _, e := range readCapture(t, file) {
				switch {
				case strings.HasSuffix(e.Path, "/v1/agent/register"):
					var sent struct {
						Key string `json:"agent_public_key"`
					}
					var received struct {
						ID string `json:"agent_runtime_id"`
					}
					if err := json.Unmarshal([]byte(e.Body), &sent); err != nil {
						t.Fatal(err)
					}
					if err := json.Unmarshal(e.Response.Body, &received); err != nil {
						t.Fatal(err)
					}
					var err error
					if key, err = core.ParsePublicKey(sent.Key); err != nil {
						t.Fatal(err)
					}
					agentRuntimeID = received.ID
					known.agents[agentRuntimeID] = authority.Agent{RuntimeID: agentRuntimeID, PublicKey: key, AccountID: "acct-1"}
				case strings.HasSuffix(e.Path, "/task/register"):
					proof := readProof(t, e.Body)
					at, err := time.Parse(time.RFC3339, proof.Timestamp)
					if err != nil {
						t.Fatal(err)
					}
					if err := core.VerifyRegistration(key, agentRuntimeID, proof, at.Unix(), 0); err != nil {
						t.Errorf("%s: %v", e.Path, err)
					}
					known.tasks[[2]string{agentRuntimeID, e.Response.PlainTask}] = authority.TaskActive
				case strings.HasPrefix(e.Headers["authorization"], core.Scheme):
					assertions++
					header := http.Header{}
					for name, value := range e.Headers {
						header.Set(name, value)
					}
					at, err := time.Parse(time.RFC3339, envelopeOf(t, header.Get("Authorization")).Timestamp)
					if err != nil {
						t.Fatal(err)
					}
					i, err := core.VerifyAssertion(key, header.Get("Authorization"), at.Unix(), 0)
					if err != nil || !i.Canonical {
						t.Errorf("%s: canonical %v, %v", e.Path, i.Canonical, err)
					}
					v := newVerifier(t, authority.VerifierOptions{Agents: known, Now: func() time.Time { return at }})
					if _, err := v.Verify(&http.Request{Header: header}); err != nil {
						t.Errorf("%s: %v", e.Path, err)
					}
				}
			}
			if assertions != want {
				t.Errorf("%d assertions, want %d", assertions, want)
			}
		})
	}
}

func readProof(t *testing.T, body string) wire.RegistrationProof {
	t.Helper()
	var proof struct {
		Signature string `json:"signature"`
		Timestamp string `json:"timestamp"`
	}
	if err := json.Unmarshal([]byte(body), &proof); err != nil {
		t.Fatal(err)
	}
	return wire.RegistrationProof{Signature: proof.Signature, Timestamp: proof.Timestamp}
}

// TestAuthJSONIsAsCaptured compares a session's file with the reference
// client's, byte for byte but for the values that are this session's own.
func TestAuthJSONIsAsCaptured(t *testing.T) {
	captured, err := os.ReadFile(filepath.Join(captures, "enabled.auth.json"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := core.SetAuthJSONIdentity(captured, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := newBackend(t, authority.Options{})
	got := b.SignIn("acct-1", "user-1").AuthJSON()

	type file struct {
		Tokens struct {
			ID      string `json:"id_token"`
			Access  string `json:"access_token"`
			Refresh string `json:"refresh_token"`
		} `json:"tokens"`
		LastRefresh string `json:"last_refresh"`
	}
	var theirs, ours file
	if err := json.Unmarshal(want, &theirs); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(got, &ours); err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(
		theirs.Tokens.ID, ours.Tokens.ID,
		theirs.Tokens.Access, ours.Tokens.Access,
		`"`+theirs.Tokens.Refresh+`"`, `"`+ours.Tokens.Refresh+`"`,
		theirs.LastRefresh, "2026-11-24T15:16:08.000Z",
	).Replace(string(want))
	if string(got) != text {
		t.Errorf("got\n%s\nwant\n%s", got, text)
	}

	decode := func(part string) string {
		text, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	theirID, ourID := strings.Split(theirs.Tokens.ID, "."), strings.Split(ours.Tokens.ID, ".")
	claims := strings.NewReplacer("u@", "user-1@", "4000000000", "2110893368").Replace(decode(theirID[1]))
	if ourID[0] != theirID[0] || decode(ourID[1]) != claims || ourID[2] != theirID[2] {
		t.Errorf("the id token is %s, with the claims %s; want %s", ours.Tokens.ID, decode(ourID[1]), claims)
	}
}

// TestCapturedClient sends what the reference client sent, as it did: the
// authority is its HTTP proxy. Only what the backend chose is exchanged, biscuits
// and ids, and signed again with the client's own key.
func TestCapturedClient(t *testing.T) {
	document, err := os.ReadFile(filepath.Join(captures, "enabled.auth.json"))
	if err != nil {
		t.Fatal(err)
	}
	var auth struct {
		Identity struct {
			PrivateKey string `json:"agent_private_key"`
		} `json:"agent_identity"`
	}
	if err := json.Unmarshal(document, &auth); err != nil {
		t.Fatal(err)
	}
	key, err := core.ParsePrivateKey(auth.Identity.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		file   string
		refuse int
		want   authority.Counts
	}{
		{"enabled.jsonl", 0, authority.Counts{Identities: 1, Tasks: 2}},
		{"gate-off.jsonl", 0, authority.Counts{}},
		{"biscuit-forbidden.jsonl", http.StatusForbidden, authority.Counts{}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			b := newBackend(t, authority.Options{AcceptAnyBearer: true})
			b.RefuseRegistration(tt.refuse)
			replay(t, b, key, readCapture(t, tt.file))
			if got := b.Counts(); got != tt.want {
				t.Errorf("Counts() = %+v, want %+v", got, tt.want)
			}
		})
	}
}

func replay(t *testing.T, b *backend, key *core.PrivateKey, capture []exchange) {
	proxy, err := url.Parse(b.url)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{Proxy: http.ProxyURL(proxy)}
	defer transport.CloseIdleConnections()

	captured, ours := "agent-rt-2", "" // the agent's id
	biscuit := ""
	tasks := map[string]string{}
	for _, e := range capture {
		e.Path = strings.Replace(e.Path, captured, ours, 1)
		path, _, _ := strings.Cut(e.Path, "?")
		switch {
		case strings.HasSuffix(path, "/task/register"):
			at, err := time.Parse(time.RFC3339, readProof(t, e.Body).Timestamp)
			if err != nil {
				t.Fatal(err)
			}
			length := len(e.Body)
			e.Body = proofBody(t, key, ours, at)
			if len(e.Body) != length {
				t.Fatalf("%q is not what the client sends", e.Body)
			}
		case e.Body == "": // not captured where it was long
			e.Body = strings.Repeat(" ", e.BodyLen)
		}
		scheme, _, _ := strings.Cut(e.Headers["authorization"], " ")
		if scheme == core.Scheme {
			claim := envelopeOf(t, e.Headers["authorization"])
			at, err := time.Parse(time.RFC3339, claim.Timestamp)
			if err != nil {
				t.Fatal(err)
			}
			e.Headers["authorization"] = agent{key, ours, tasks[claim.TaskID]}.assertion(t, at)
		}
		r, err := http.NewRequest(e.Method, "http://agent.chatgpt.com"+e.Path, strings.NewReader(e.Body))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range e.Headers {
			switch name {
			case "x-openai-authorization":
				value = biscuit
			case "x-original-url":
				value = strings.Replace(value, captured, ours, 1)
			}
			r.Header.Set(name, value)
		}
		a := send(t, transport, r)
		t.Logf("%s %s: %d %v", e.Method, path, a.status, a.body)

		switch {
		case strings.HasSuffix(path, "/authenticate_app_v2"), strings.HasSuffix(path, "/register"):
			if a.status != e.Response.Status {
				t.Errorf("%s %s: status %d, the captured backend's is %d", e.Method, path, a.status, e.Response.Status)
			}
			if a.status != http.StatusOK {
				continue
			}
			var theirs map[string]any
			if err := json.Unmarshal(e.Response.Body, &theirs); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(slices.Sorted(maps.Keys(theirs)), slices.Sorted(maps.Keys(a.body))) {
				t.Errorf("%s %s answers %v, the captured backend %v", e.Method, path, a.body, theirs)
			}
			biscuit = a.header.Get("X-OpenAI-Authorization")
			if id, ok := a.body["agent_runtime_id"].(string); ok {
				ours = id
			}
			if sealed, ok := a.body["encrypted_task_id"].(string); ok {
				if tasks[e.Response.PlainTask], err = core.OpenTaskID(key, sealed); err != nil {
					t.Fatal(err)
				}
			}
		// The client's bearer calls name their account. Its biscuits are minted
		// without, so that this authority knows none for the agent.
		case scheme == "Bearer":
			if a.status != http.StatusOK || a.body["scheme"] != "bearer" || a.body["account_id"] != "acct-1" {
				t.Errorf("%s %s: %d %v", e.Method, path, a.status, a.body)
			}
		default:
			if a.status != http.StatusOK || a.body["scheme"] != "agent-assertion" || a.body["agent_runtime_id"] != ours || a.body["account_id"] != "" {
				t.Errorf("%s %s: %d %v", e.Method, path, a.status, a.body)
			}
		}
	}
}
