package authority_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

func TestCalls(t *testing.T) {
	b := newBackend(t, authority.Options{})
	s := b.SignIn("acct-1", "user-1")
	g := b.grant(t, s, b.register(t, s, newKey(t, 1)))
	expired := b.grant(t, s, g)
	if !b.ExpireTask(expired.task) {
		t.Fatal("there is no task to expire")
	}
	revoked := b.grant(t, s, b.register(t, s, newKey(t, 2)))
	if !b.RevokeAgent(revoked.runtimeID) {
		t.Fatal("there is no agent to revoke")
	}
	foreign := b.grant(t, s, b.register(t, s, newKey(t, 3)))
	foreign.key, foreign.runtimeID = g.key, g.runtimeID // the task of another agent
	forged := g
	forged.key = newKey(t, 4)

	bearer, assertion := "Bearer "+s.AccessToken, g.assertion(t, start)
	for _, tt := range []struct {
		name    string
		headers []string
		status  int
		// want is the scheme of an answer, or the code of a refusal.
		want string
	}{
		{"bearer", []string{"Authorization", bearer}, 200, "bearer"},
		{"bearer and account", []string{"Authorization", bearer, "ChatGPT-Account-ID", "acct-1"}, 200, "bearer"},
		{"bearer and other account", []string{"Authorization", bearer, "ChatGPT-Account-ID", "acct-2"}, 401, authority.CodeAccountMismatch},
		{"unknown bearer", []string{"Authorization", bearer + "x"}, 401, authority.CodeInvalidToken},
		{"id token as bearer", []string{"Authorization", "Bearer " + s.IDToken}, 401, authority.CodeInvalidToken},
		{"nothing", nil, 401, authority.CodeUnauthenticated},
		{"a biscuit", []string{"X-OpenAI-Authorization", "x"}, 401, authority.CodeUnauthenticated},
		{"assertion", []string{"Authorization", assertion}, 200, "agent-assertion"},
		{"assertion and account", []string{"Authorization", assertion, "ChatGPT-Account-ID", "acct-1"}, 200, "agent-assertion"},
		{"assertion and other account", []string{"Authorization", assertion, "ChatGPT-Account-ID", "acct-2"}, 401, authority.CodeAccountMismatch},
		{"assertion and bearer", []string{"Authorization", assertion, "Authorization", bearer}, 400, authority.CodeInvalidRequest},
		{"bearer and assertion", []string{"Authorization", bearer, "Authorization", assertion}, 400, authority.CodeInvalidRequest},
		{"garbage", []string{"Authorization", "AgentAssertion x"}, 401, authority.CodeInvalidAssertion},
		{"bad signature", []string{"Authorization", forged.assertion(t, start)}, 401, authority.CodeUnknownAgent},
		{"revoked agent", []string{"Authorization", revoked.assertion(t, start)}, 401, authority.CodeUnknownAgent},
		{"another agent's task", []string{"Authorization", foreign.assertion(t, start)}, 401, authority.CodeUnknownTask},
		{"expired task", []string{"Authorization", expired.assertion(t, start)}, 401, authority.CodeTaskExpired},
		{"old", []string{"Authorization", g.assertion(t, start.Add(-time.Hour))}, 401, authority.CodeTimestampSkew},
	} {
		for _, path := range []string{"/backend-api/codex/responses", "/wham/apps", "/backend-api", "/", "/a//../b%2Fc"} {
			t.Run(tt.name+" "+path, func(t *testing.T) {
				a := b.do(t, request{"POST", path, tt.headers, `{"not":"read"}`})
				code := ""
				if tt.status != 200 {
					code = tt.want
				}
				b.check(t, a, tt.status, code)
				switch {
				case tt.status == 200 && (a.body["scheme"] != tt.want || a.body["account_id"] != "acct-1"):
					t.Errorf("got %v", a.body)
				case tt.status == 401 && !slices.Equal(a.header.Values("WWW-Authenticate"), []string{"AgentAssertion", "Bearer"}):
					t.Errorf("WWW-Authenticate %q", a.header.Values("WWW-Authenticate"))
				}
				if last := b.last(); last.Verified != (tt.status == 200) || last.Path != path || last.Time != start {
					t.Errorf("observed %+v", last)
				}
			})
		}
	}
}

func TestMethods(t *testing.T) {
	b := newBackend(t, authority.Options{})
	for _, base := range []string{"", "/backend-api"} {
		for path, allowed := range map[string]string{
			base + "/authenticate_app_v2": "GET",
			identityPath(base):            "POST",
			taskPath(base, "agent-x"):     "POST",
		} {
			for _, method := range []string{"GET", "POST", "PUT", "DELETE", "OPTIONS"} {
				if method == allowed {
					continue
				}
				a := b.do(t, request{method, path, nil, ""})
				b.check(t, a, 405, authority.CodeMethodNotAllowed)
				if got := a.header.Get("Allow"); got != allowed {
					t.Errorf("%s %s: Allow %q, want %q", method, path, got, allowed)
				}
			}
		}
	}
}

// dial sends text over a connection of its own.
func (b *backend) dial(t *testing.T, text string) answer {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if err := json.NewDecoder(resp.Body).Decode(&a.body); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAbsoluteForm(t *testing.T) {
	b := newBackend(t, authority.Options{})
	s := b.SignIn("acct-1", "user-1")
	const url = "http://Agent.ChatGPT.com/backend-api"

	a := b.dial(t, "GET "+url+"/authenticate_app_v2 HTTP/1.1\r\n"+
		"Host: agent.chatgpt.com\r\n"+
		"Authorization: Bearer "+s.AccessToken+"\r\n"+
		"X-Original-Method: POST\r\n"+
		"X-Original-Url: http://agent.chatgpt.com/backend-api/v1/agent/register\r\n\r\n")
	b.check(t, a, 200, "")
	biscuit := a.header.Get("X-OpenAI-Authorization")

	// Not for the same path on another host.
	a = b.dial(t, "GET "+url+"/authenticate_app_v2 HTTP/1.1\r\n"+
		"Host: agent.chatgpt.com\r\n"+
		"Authorization: Bearer "+s.AccessToken+"\r\n"+
		"X-Original-Method: POST\r\n"+
		"X-Original-Url: "+b.url+"/backend-api/v1/agent/register\r\n\r\n")
	b.check(t, a, 400, authority.CodeInvalidRequest)

	body := identityBody(t, newKey(t, 1))
	a = b.dial(t, fmt.Sprintf("POST %s/v1/agent/register HTTP/1.1\r\nHost: agent.chatgpt.com\r\n"+
		"X-OpenAI-Authorization: %s\r\nContent-Length: %d\r\n\r\n%s", url, biscuit, len(body), body))
	b.check(t, a, 200, "")

	a = b.dial(t, "GET "+url+"/codex/models?a=b HTTP/1.1\r\nHost: agent.chatgpt.com\r\n\r\n")
	b.check(t, a, 401, authority.CodeUnauthenticated)
	if got := b.last().Path; got != "/backend-api/codex/models" {
		t.Errorf("observed the path %q", got)
	}
}

func TestConnect(t *testing.T) {
	b := newBackend(t, authority.Options{})
	a := b.dial(t, "CONNECT agent.chatgpt.com:443 HTTP/1.1\r\nHost: agent.chatgpt.com:443\r\n\r\n")
	b.check(t, a, 405, authority.CodeMethodNotAllowed)
	if a.header.Get("Allow") == "" {
		t.Error("405 without Allow")
	}
}

func TestAcceptAnyBearer(t *testing.T) {
	b := newBackend(t, authority.Options{AcceptAnyBearer: true})
	s := b.SignIn("acct-1", "user-1")
	jwt := func(payload string) string {
		return "h." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".s"
	}
	claiming := jwt(`{"https://api.openai.com/auth":{"chatgpt_account_id":"acct-3"}}`)
	for _, tt := range []struct {
		name, token, account string
		status               int
		want                 string // account, or code
	}{
		{"its own", s.AccessToken, "", 200, "acct-1"},
		{"its own, with another account", s.AccessToken, "acct-2", 401, authority.CodeAccountMismatch},
		{"opaque", "secret", "", 200, ""},
		{"opaque, with an account", "secret", "acct-2", 200, "acct-2"},
		{"JWT that claims", claiming, "", 200, "acct-3"},
		{"JWT that claims, with an account", claiming, "acct-2", 200, "acct-2"},
		{"JWT that claims nothing", jwt(`{"exp":4000000000}`), "", 200, ""},
		{"JWT with other claims", jwt(`{"https://api.openai.com/auth":7}`), "", 200, ""},
		{"JWT that claims too much", jwt(`{"https://api.openai.com/auth":{"chatgpt_account_id":"` + strings.Repeat("a", 257) + `"}}`), "", 200, ""},
		{"no JWT", "a.!.c", "", 200, ""},
		{"no token", "", "acct-2", 401, authority.CodeUnauthenticated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := b.do(t, request{"GET", base + "/plugins/featured", []string{
				"Authorization", "Bearer " + tt.token, "ChatGPT-Account-ID", tt.account,
			}, ""})
			if tt.status != 200 {
				b.check(t, a, tt.status, tt.want)
				return
			}
			b.check(t, a, 200, "")
			if a.body["account_id"] != tt.want {
				t.Errorf("got %v, want the account %q", a.body, tt.want)
			}
		})
	}
}

func TestSession(t *testing.T) {
	b := newBackend(t, authority.Options{})
	s := b.SignIn("acct-1", "user-1")
	if again := b.SignIn("acct-1", "user-1"); again.AccessToken == s.AccessToken {
		t.Error("two sessions with one access token")
	}

	c, err := core.ReadCredentials(s.AuthJSON())
	want := wire.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: s.AccessToken, AccountID: "acct-1", UserID: "user-1", Email: "user-1@example.com", PlanType: "pro"}
	if err != nil || c != want {
		t.Errorf("the credentials in auth.json are %#v, %v", c, err)
	}

	t.Run("secrets", func(t *testing.T) {
		var log strings.Builder
		slog.New(slog.NewJSONHandler(&log, nil)).Info("signed in", "session", s)
		for _, shown := range []string{fmt.Sprint(s), fmt.Sprintf("%+v", s), fmt.Sprintf("%#v", s), fmt.Sprintf("%q", s), log.String()} {
			if strings.Contains(shown, s.AccessToken) || strings.Contains(shown, s.IDToken) || !strings.Contains(shown, "hidden") {
				t.Errorf("a session shows as %s", shown)
			}
		}
	})

	t.Run("lifetime", func(t *testing.T) {
		call := request{"GET", "/", []string{"Authorization", "Bearer " + s.AccessToken}, ""}
		const tenYears = 10 * 365 * 24 * time.Hour
		b.advance(tenYears - 1)
		b.check(t, b.do(t, call), 200, "")
		b.advance(1)
		b.check(t, b.do(t, call), 401, authority.CodeInvalidToken)
	})
}

func TestAdministration(t *testing.T) {
	b := newBackend(t, authority.Options{})
	s := b.SignIn("acct-1", "user-1")
	if b.ExpireTask("task-x") || b.RevokeAgent("agent-x") {
		t.Error("what is not there was expired or revoked")
	}
	g := b.grant(t, s, b.register(t, s, newKey(t, 1)))
	second := b.grant(t, s, b.register(t, s, newKey(t, 1))) // one key, two identities
	if g.runtimeID == second.runtimeID || g.task == second.task {
		t.Errorf("ids are not unique: %+v, %+v", g, second)
	}
	if !strings.HasPrefix(g.runtimeID, "agent-") || !strings.HasPrefix(g.task, "task-") {
		t.Errorf("ids are not readable: %q, %q", g.runtimeID, g.task)
	}
	for range 2 {
		if !b.ExpireTask(g.task) {
			t.Error("a task that is there was not expired")
		}
	}
	if !b.RevokeAgent(g.runtimeID) || b.RevokeAgent(g.runtimeID) {
		t.Error("an agent is revoked once")
	}
	if b.ExpireTask(g.task) {
		t.Error("a revoked agent's task is still there")
	}
	if got := b.Counts(); got != (authority.Counts{Identities: 1, Tasks: 1}) {
		t.Errorf("Counts() = %+v", got)
	}
	if p, err := newVerifier(t, authority.VerifierOptions{Agents: b, Now: b.clock}).Verify(&http.Request{
		Header: http.Header{"Authorization": {second.assertion(t, start)}},
	}); err != nil || p.AgentRuntimeID != second.runtimeID {
		t.Errorf("the authority as a directory: %+v, %v", p, err)
	}
}

// TestObserveHoldsNoSecret also checks errors: they go to the client, who may
// log them.
func TestObserveHoldsNoSecret(t *testing.T) {
	b := newBackend(t, authority.Options{})
	s := b.SignIn("acct-1", "user-1")
	g := b.grant(t, s, b.register(t, s, newKey(t, 1)))
	biscuit := b.mint(t, s.AccessToken, taskPath(base, g.runtimeID))
	used := b.mint(t, s.AccessToken, identityPath(base))
	proof := proofBody(t, g.key, g.runtimeID, start)
	assertion := g.assertion(t, start)
	old := g.assertion(t, start.Add(-time.Hour))

	var said []string
	for _, r := range []request{
		{"POST", taskPath(base, g.runtimeID), []string{"X-OpenAI-Authorization", biscuit}, proof},
		{"POST", taskPath(base, g.runtimeID), []string{"X-OpenAI-Authorization", biscuit}, proof},
		{"POST", identityPath(base), []string{"X-OpenAI-Authorization", used}, proof},
		{"POST", base + "/wham/apps", []string{"Authorization", assertion}, ""},
		{"POST", base + "/wham/apps", []string{"Authorization", old}, ""},
		{"POST", base + "/wham/apps", []string{"Authorization", assertion + "x"}, ""},
		{"POST", base + "/wham/apps?token=" + s.AccessToken, []string{"Authorization", "Bearer " + s.AccessToken + "x"}, ""},
		{"GET", base + "/authenticate_app_v2", []string{"Authorization", "Bearer " + s.AccessToken, "X-Original-Method", "POST", "X-Original-Url", "http://x/?" + s.AccessToken}, ""},
	} {
		said = append(said, fmt.Sprint(b.do(t, r).body))
	}
	for _, r := range b.observed {
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, string(line))
	}
	secrets := []string{
		s.AccessToken, s.IDToken, biscuit, used,
		strings.TrimPrefix(assertion, "AgentAssertion "), envelopeOf(t, assertion).Signature, envelopeOf(t, old).Signature,
		strings.Split(proof, `"`)[3],
	}
	for _, text := range said {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%q is shown in %s", secret, text)
			}
		}
	}
	if want := `{"time":"2026-11-24T15:16:08Z","method":"POST","path":"/backend-api/wham/apps","scheme":"agent-assertion","verified":false,` +
		`"agent_runtime_id":"` + g.runtimeID + `","task_id":"` + g.task + `","account_id":"","status":401,"error":"timestamp_skew","reason":"timestamp_skew"}`; !slices.Contains(said, want) {
		t.Errorf("nothing observed is %s", want)
	}
}
