package authority_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
)

func TestRegistrationEndToEnd(t *testing.T) {
	for _, base := range []string{"/backend-api", ""} {
		t.Run("base "+base, func(t *testing.T) {
			b := newBackend(t, authority.Options{})
			s := b.SignIn("acct-1", "user-1")
			k := newKey(t, 1)

			mint := func(path string) string {
				a := b.do(t, request{"GET", base + "/authenticate_app_v2", []string{
					"Authorization", "Bearer " + s.AccessToken,
					"X-Original-Method", "POST",
					// TLS may end in front of the authority.
					"X-Original-Url", strings.Replace(b.url, "http:", "https:", 1) + path,
				}, ""})
				b.check(t, a, http.StatusOK, "")
				if len(a.body) != 0 {
					t.Errorf("the biscuit's body is %v, want {}", a.body)
				}
				return a.header.Get("X-OpenAI-Authorization")
			}
			a := b.do(t, request{"POST", identityPath(base), []string{
				"X-OpenAI-Authorization", mint(identityPath(base)),
			}, identityBody(t, k)})
			b.check(t, a, http.StatusOK, "")
			g := agent{key: k, runtimeID: a.body["agent_runtime_id"].(string)}
			if got := b.last(); got.AgentRuntimeID != g.runtimeID || got.AccountID != "acct-1" || !got.Verified || got.Scheme != authority.SchemeBiscuit {
				t.Errorf("observed %+v", got)
			}

			a = b.do(t, request{"POST", taskPath(base, g.runtimeID), []string{
				"X-OpenAI-Authorization", mint(taskPath(base, g.runtimeID)),
			}, proofBody(t, k, g.runtimeID, start)})
			b.check(t, a, http.StatusOK, "")
			var err error
			if g.task, err = core.OpenTaskID(k, a.body["encrypted_task_id"].(string)); err != nil {
				t.Fatal(err)
			}
			if got := b.last(); got.TaskID != g.task {
				t.Errorf("observed %+v, want the task %q", got, g.task)
			}
			if got := b.Counts(); got != (authority.Counts{Identities: 1, Tasks: 1}) {
				t.Errorf("Counts() = %+v", got)
			}

			a = b.do(t, request{"GET", base + "/codex/models?client_version=0.123.0", []string{
				"Authorization", g.assertion(t, start), "ChatGPT-Account-ID", "acct-1",
			}, ""})
			b.check(t, a, http.StatusOK, "")
			want := map[string]any{
				"scheme": "agent-assertion", "agent_runtime_id": g.runtimeID, "task_id": g.task,
				"account_id": "acct-1", "timestamp": "2026-11-24T15:16:08Z",
			}
			if fmt.Sprint(a.body) != fmt.Sprint(want) {
				t.Errorf("got %v, want %v", a.body, want)
			}
			if got := b.last().Path; got != base+"/codex/models" {
				t.Errorf("observed the path %q", got)
			}
		})
	}
}

func TestMintingIsRefused(t *testing.T) {
	b := newBackend(t, authority.Options{})
	s := b.SignIn("acct-1", "user-1")
	bearer, url := "Bearer "+s.AccessToken, b.url+identityPath(base)
	host := strings.TrimPrefix(b.url, "http://")
	for _, tt := range []struct {
		name          string
		authorization string
		method, url   string
		more          []string
		status        int
		code          string
	}{
		{"good", bearer, "POST", url, nil, 200, ""},
		{"good, schemes in other case", "bearer " + s.AccessToken, "POST", strings.Replace(url, "http", "HTTP", 1), nil, 200, ""},
		{"good, with the account", bearer, "POST", url, []string{"ChatGPT-Account-ID", "acct-1"}, 200, ""},
		{"good, for an agent nobody knows", bearer, "POST", b.url + taskPath(base, "a%2Fb"), nil, 200, ""},
		{"no authorization", "", "POST", url, nil, 401, authority.CodeUnauthenticated},
		{"empty token", "Bearer  ", "POST", url, nil, 401, authority.CodeUnauthenticated},
		{"basic", "Basic dTpw", "POST", url, nil, 401, authority.CodeUnauthenticated},
		{"assertion", "AgentAssertion e30", "POST", url, nil, 401, authority.CodeUnauthenticated},
		{"unknown token", "Bearer x.y.z", "POST", url, nil, 401, authority.CodeInvalidToken},
		{"two authorizations", bearer, "POST", url, []string{"Authorization", bearer}, 400, authority.CodeInvalidRequest},
		{"other account", bearer, "POST", url, []string{"ChatGPT-Account-ID", "acct-2"}, 401, authority.CodeAccountMismatch},
		{"two accounts", bearer, "POST", url, []string{"ChatGPT-Account-ID", "acct-1", "ChatGPT-Account-ID", "acct-1"}, 400, authority.CodeInvalidRequest},
		{"long account", bearer, "POST", url, []string{"ChatGPT-Account-ID", strings.Repeat("a", 257)}, 400, authority.CodeInvalidRequest},
		{"no method", bearer, "", url, nil, 400, authority.CodeInvalidRequest},
		{"wrong method", bearer, "GET", url, nil, 400, authority.CodeInvalidRequest},
		{"method in small letters", bearer, "post", url, nil, 400, authority.CodeInvalidRequest},
		{"two methods", bearer, "POST", url, []string{"X-Original-Method", "POST"}, 400, authority.CodeInvalidRequest},
		{"no url", bearer, "POST", "", nil, 400, authority.CodeInvalidRequest},
		{"two urls", bearer, "POST", url, []string{"X-Original-Url", url}, 400, authority.CodeInvalidRequest},
		{"url that is none", bearer, "POST", "http://[", nil, 400, authority.CodeInvalidRequest},
		{"relative url", bearer, "POST", identityPath(base), nil, 400, authority.CodeInvalidRequest},
		{"other scheme", bearer, "POST", strings.Replace(url, "http", "ftp", 1), nil, 400, authority.CodeInvalidRequest},
		{"other host", bearer, "POST", "http://evil.example" + identityPath(base), nil, 400, authority.CodeInvalidRequest},
		{"other port", bearer, "POST", "http://127.0.0.1:1" + identityPath(base), nil, 400, authority.CodeInvalidRequest},
		{"other base", bearer, "POST", b.url + identityPath(""), nil, 400, authority.CodeInvalidRequest},
		{"other path", bearer, "POST", b.url + base + "/codex/models", nil, 400, authority.CodeInvalidRequest},
		{"id of two segments", bearer, "POST", b.url + taskPath(base, "a/b"), nil, 400, authority.CodeInvalidRequest},
		{"no id", bearer, "POST", b.url + taskPath(base, ""), nil, 400, authority.CodeInvalidRequest},
		{"query", bearer, "POST", url + "?a=b", nil, 400, authority.CodeInvalidRequest},
		{"fragment", bearer, "POST", url + "#a", nil, 400, authority.CodeInvalidRequest},
		{"user", bearer, "POST", "http://u@" + host + identityPath(base), nil, 400, authority.CodeInvalidRequest},
		{"long url", bearer, "POST", b.url + taskPath(base, strings.Repeat("a", 1024)), nil, 400, authority.CodeInvalidRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := b.do(t, request{"GET", base + "/authenticate_app_v2", append([]string{
				"Authorization", tt.authorization,
				"X-Original-Method", tt.method,
				"X-Original-Url", tt.url,
			}, tt.more...), ""})
			b.check(t, a, tt.status, tt.code)
			if (a.header.Get("X-OpenAI-Authorization") != "") != (tt.status == 200) {
				t.Error("a biscuit came with a refusal, or none with a success")
			}
		})
	}
}

func TestBiscuits(t *testing.T) {
	b := newBackend(t, authority.Options{})
	mine, other := b.SignIn("acct-1", "user-1"), b.SignIn("acct-2", "user-2")
	k := newKey(t, 1)
	g := b.register(t, mine, k)
	second := b.register(t, mine, newKey(t, 2))
	foreign := b.register(t, other, newKey(t, 3))

	type registration struct {
		path, body string
	}
	identity := registration{identityPath(base), identityBody(t, newKey(t, 4))}
	task := registration{taskPath(base, g.runtimeID), proofBody(t, k, g.runtimeID, start)}
	post := func(biscuit string, to registration, more ...string) answer {
		return b.do(t, request{"POST", to.path, append([]string{"X-OpenAI-Authorization", biscuit}, more...), to.body})
	}

	for _, tt := range []struct {
		name    string
		biscuit string
		to      registration
		status  int
		code    string
	}{
		{"none", "", identity, 403, authority.CodeInvalidBiscuit},
		{"made up", "biscuit-1", identity, 403, authority.CodeInvalidBiscuit},
		{"none, for a task", "", task, 403, authority.CodeInvalidBiscuit},
		{"a task's, for an identity", b.mint(t, mine.AccessToken, task.path), identity, 403, authority.CodeInvalidBiscuit},
		{"an identity's, for a task", b.mint(t, mine.AccessToken, identity.path), task, 403, authority.CodeInvalidBiscuit},
		{"another agent's", b.mint(t, mine.AccessToken, taskPath(base, second.runtimeID)), task, 403, authority.CodeInvalidBiscuit},
		{"another account's", b.mint(t, other.AccessToken, task.path), task, 404, authority.CodeUnknownAgent},
		{"for another account's agent", b.mint(t, mine.AccessToken, taskPath(base, foreign.runtimeID)),
			registration{taskPath(base, foreign.runtimeID), proofBody(t, k, foreign.runtimeID, start)}, 404, authority.CodeUnknownAgent},
		{"the other base", b.mint(t, mine.AccessToken, identity.path), registration{identityPath(""), identity.body}, 403, authority.CodeInvalidBiscuit},
		{"the right one, id spelled otherwise", b.mint(t, mine.AccessToken, task.path),
			registration{taskPath(base, strings.Replace(g.runtimeID, "-", "%2D", 1)), task.body}, 200, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.check(t, post(tt.biscuit, tt.to), tt.status, tt.code)
			b.check(t, post(tt.biscuit, tt.to), 403, authority.CodeInvalidBiscuit) // used up, in every case
		})
	}

	t.Run("single use", func(t *testing.T) {
		biscuit := b.mint(t, mine.AccessToken, task.path)
		b.check(t, post(biscuit, task), 200, "")
		b.check(t, post(biscuit, task), 403, authority.CodeInvalidBiscuit)
	})
	t.Run("used up by a bad body", func(t *testing.T) {
		biscuit := b.mint(t, mine.AccessToken, task.path)
		b.check(t, post(biscuit, registration{task.path, "{}"}), 400, authority.CodeInvalidRequest)
		b.check(t, post(biscuit, task), 403, authority.CodeInvalidBiscuit)
	})
	t.Run("twice in one request", func(t *testing.T) {
		biscuit := b.mint(t, mine.AccessToken, task.path)
		b.check(t, post(biscuit, task, "X-OpenAI-Authorization", biscuit), 400, authority.CodeInvalidRequest)
	})
	t.Run("another host", func(t *testing.T) {
		biscuit := b.mint(t, mine.AccessToken, task.path)
		r, err := http.NewRequest("POST", b.url+task.path, strings.NewReader(task.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "other.example"
		r.Header.Set("X-OpenAI-Authorization", biscuit)
		b.check(t, send(t, http.DefaultTransport, r), 403, authority.CodeInvalidBiscuit)
	})
	t.Run("lifetime", func(t *testing.T) {
		young, old := b.mint(t, mine.AccessToken, task.path), b.mint(t, mine.AccessToken, task.path)
		b.advance(authority.DefaultBiscuitLifetime - time.Nanosecond)
		b.check(t, post(young, task), 200, "")
		b.advance(time.Nanosecond)
		b.check(t, post(old, task), 403, authority.CodeInvalidBiscuit)
	})
}

func TestBiscuitLifetimeOption(t *testing.T) {
	b := newBackend(t, authority.Options{BiscuitLifetime: time.Hour})
	s := b.SignIn("acct-1", "user-1")
	biscuit := b.mint(t, s.AccessToken, identityPath(base))
	b.advance(time.Hour - 1)
	b.check(t, b.do(t, request{"POST", identityPath(base), []string{
		"X-OpenAI-Authorization", biscuit,
	}, identityBody(t, newKey(t, 1))}), 200, "")
}

func TestIdentityRegistrationBodies(t *testing.T) {
	b := newBackend(t, authority.Options{})
	s := b.SignIn("acct-1", "user-1")
	abom := `{"agent_version":"1","agent_harness_id":"codex-cli","running_location":"cli-linux"}`
	key := newKey(t, 1).Public().OpenSSH()
	good := `{"abom":` + abom + `,"agent_public_key":"` + key + `","capabilities":[]}`
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in %q", old, good)
		}
		return strings.Replace(good, old, new, 1)
	}
	// A point of order 1, for which anybody can make signatures.
	smallOrder := "ssh-ed25519 " + base64.StdEncoding.EncodeToString([]byte("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20\x01"+strings.Repeat("\x00", 31)))
	for _, tt := range []struct {
		name, body string
		status     int
		code       string
	}{
		{"good", good, 200, ""},
		{"of a later client", replace(`"capabilities":[]`, `"capabilities":["x"],"ttl":null,"more":{"a":[1e999]}`), 200, ""},
		{"white space around it", "\r\n\t " + good + " \n", 200, ""},
		{"exactly 64 KiB", good + strings.Repeat(" ", 64<<10-len(good)), 200, ""},
		{"longest strings", replace(`"1"`, `"`+strings.Repeat("1", 4096)+`"`), 200, ""},
		{"64 KiB and one byte", good + strings.Repeat(" ", 64<<10+1-len(good)), 413, authority.CodeBodyTooLarge},
		{"empty", "", 400, authority.CodeInvalidRequest},
		{"garbage", "\x00\xff\xfe", 400, authority.CodeInvalidRequest},
		{"null", "null", 400, authority.CodeInvalidRequest},
		{"array", "[" + good + "]", 400, authority.CodeInvalidRequest},
		{"string", `"` + key + `"`, 400, authority.CodeInvalidRequest},
		{"empty object", "{}", 400, authority.CodeInvalidRequest},
		{"cut short", good[:len(good)-1], 400, authority.CodeInvalidRequest},
		{"something after it", good + "{}", 400, authority.CodeInvalidRequest},
		{"byte order mark", "\ufeff" + good, 400, authority.CodeInvalidRequest},
		{"invalid UTF-8", replace(`"1"`, "\"\xff\""), 400, authority.CodeInvalidRequest},
		{"name twice", replace(`"capabilities"`, `"agent_public_key":"`+key+`","capabilities"`), 400, authority.CodeInvalidRequest},
		{"name twice, once escaped", replace(`"capabilities"`, `"\u0061bom":{},"capabilities"`), 400, authority.CodeInvalidRequest},
		{"name twice, in abom", replace(`"agent_version"`, `"agent_version":"0","agent_version"`), 400, authority.CodeInvalidRequest},
		{"name twice, deep in the unknown", replace(`[]`, `[],"x":[[{"y":{"a":1,"a":1}}]]`), 400, authority.CodeInvalidRequest},
		{"nested too deeply", replace(`[]`, strings.Repeat("[", 10_001)+strings.Repeat("]", 10_001)), 400, authority.CodeInvalidRequest},
		{"names in other case", replace(`"agent_public_key"`, `"Agent_Public_Key"`), 400, authority.CodeInvalidRequest},
		{"no abom", replace(`"abom"`, `"bom"`), 400, authority.CodeInvalidRequest},
		{"abom is null", replace(abom, "null"), 400, authority.CodeInvalidRequest},
		{"abom is a string", replace(abom, `"x"`), 400, authority.CodeInvalidRequest},
		{"abom without a version", replace(`"agent_version"`, `"version"`), 400, authority.CodeInvalidRequest},
		{"abom with a number", replace(`"1"`, "1"), 400, authority.CodeInvalidRequest},
		{"abom with null", replace(`"1"`, "null"), 400, authority.CodeInvalidRequest},
		{"abom with a string too long", replace(`"1"`, `"`+strings.Repeat("1", 4097)+`"`), 400, authority.CodeInvalidRequest},
		{"no capabilities", replace(`,"capabilities":[]`, ""), 400, authority.CodeInvalidRequest},
		{"capabilities are null", replace("[]", "null"), 400, authority.CodeInvalidRequest},
		{"capabilities are an object", replace("[]", "{}"), 400, authority.CodeInvalidRequest},
		{"no key", replace(`"agent_public_key"`, `"key"`), 400, authority.CodeInvalidRequest},
		{"key is null", replace(`"`+key+`"`, "null"), 400, authority.CodeInvalidRequest},
		{"key with a comment", replace(key, key+" me@host"), 400, authority.CodeInvalidPublicKey},
		{"key of another type", replace("ssh-ed25519", "ssh-rsa"), 400, authority.CodeInvalidPublicKey},
		{"key of small order", replace(key, smallOrder), 400, authority.CodeInvalidPublicKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := b.Counts().Identities
			a := b.do(t, request{"POST", identityPath(base), []string{
				"X-OpenAI-Authorization", b.mint(t, s.AccessToken, identityPath(base)),
			}, tt.body})
			b.check(t, a, tt.status, tt.code)
			if registered := b.Counts().Identities - before; (registered == 1) != (tt.status == 200) {
				t.Errorf("%d identities registered", registered)
			}
		})
	}
}

func TestTaskRegistrationBodies(t *testing.T) {
	b := newBackend(t, authority.Options{})
	s := b.SignIn("acct-1", "user-1")
	k := newKey(t, 1)
	g := b.register(t, s, k)
	revoked := b.register(t, s, k)
	b.RevokeAgent(revoked.runtimeID)

	good := proofBody(t, k, g.runtimeID, start)
	signed := func(k *core.PrivateKey, id string, after time.Duration) string {
		return proofBody(t, k, id, start.Add(after))
	}
	skew := authority.DefaultSkew
	for _, tt := range []struct {
		name, agent, body string
		status            int
		code              string
	}{
		{"good", g.runtimeID, good, 200, ""},
		{"the same again", g.runtimeID, good, 200, ""}, // as the reference client does within one second
		{"oldest", g.runtimeID, signed(k, g.runtimeID, -skew), 200, ""},
		{"newest", g.runtimeID, signed(k, g.runtimeID, skew), 200, ""},
		{"too old", g.runtimeID, signed(k, g.runtimeID, -skew-time.Second), 403, authority.CodeTimestampSkew},
		{"too new", g.runtimeID, signed(k, g.runtimeID, skew+time.Second), 403, authority.CodeTimestampSkew},
		{"another key", g.runtimeID, signed(newKey(t, 2), g.runtimeID, 0), 404, authority.CodeUnknownAgent},
		{"another agent's", g.runtimeID, signed(k, "agent-x", 0), 404, authority.CodeUnknownAgent},
		{"another key and too old", g.runtimeID, signed(newKey(t, 2), g.runtimeID, -time.Hour), 404, authority.CodeUnknownAgent},
		{"no base64", g.runtimeID, `{"signature":"!","timestamp":"2026-11-24T15:16:08Z"}`, 404, authority.CodeUnknownAgent},
		{"no time", g.runtimeID, strings.Replace(good, "Z\"", "\"", 1), 400, authority.CodeInvalidRequest},
		{"no signature", g.runtimeID, `{"timestamp":"2026-11-24T15:16:08Z"}`, 400, authority.CodeInvalidRequest},
		{"no timestamp", g.runtimeID, `{"signature":""}`, 400, authority.CodeInvalidRequest},
		{"timestamp is a number", g.runtimeID, `{"signature":"","timestamp":1795533368}`, 400, authority.CodeInvalidRequest},
		{"name twice", g.runtimeID, strings.Replace(good, "{", `{"timestamp":"",`, 1), 400, authority.CodeInvalidRequest},
		{"too large", g.runtimeID, good + strings.Repeat(" ", 64<<10), 413, authority.CodeBodyTooLarge},
		{"agent that never was", "agent-x", signed(k, "agent-x", 0), 404, authority.CodeUnknownAgent},
		{"revoked agent", revoked.runtimeID, signed(k, revoked.runtimeID, 0), 404, authority.CodeUnknownAgent},
		{"id with a slash", "a%2Fb", good, 404, authority.CodeUnknownAgent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := taskPath(base, tt.agent)
			a := b.do(t, request{"POST", path, []string{
				"X-OpenAI-Authorization", b.mint(t, s.AccessToken, path),
			}, tt.body})
			b.check(t, a, tt.status, tt.code)
		})
	}
}

func TestBodyThatBreaksOff(t *testing.T) {
	b := newBackend(t, authority.Options{})
	s := b.SignIn("acct-1", "user-1")
	r, err := http.NewRequest("POST", identityPath(base), iotest.ErrReader(errors.New("connection lost")))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = strings.TrimPrefix(b.url, "http://")
	r.Header.Set("X-OpenAI-Authorization", b.mint(t, s.AccessToken, identityPath(base)))
	b.check(t, send(t, direct{b}, r), 400, authority.CodeInvalidRequest)
}

func TestCapacity(t *testing.T) {
	b := newBackend(t, authority.Options{MaxIdentities: authority.Limit{Total: 1}, MaxTasks: authority.Limit{Total: 2}})
	s := b.SignIn("acct-1", "user-1")
	g := b.register(t, s, newKey(t, 1))
	b.grant(t, s, g)
	b.grant(t, s, g)
	a := b.do(t, request{"POST", identityPath(base), []string{
		"X-OpenAI-Authorization", b.mint(t, s.AccessToken, identityPath(base)),
	}, identityBody(t, newKey(t, 2))})
	b.check(t, a, 503, authority.CodeCapacityExceeded)
	a = b.do(t, request{"POST", taskPath(base, g.runtimeID), []string{
		"X-OpenAI-Authorization", b.mint(t, s.AccessToken, taskPath(base, g.runtimeID)),
	}, proofBody(t, g.key, g.runtimeID, start)})
	b.check(t, a, 503, authority.CodeCapacityExceeded)
	if got := b.Counts(); got != (authority.Counts{Identities: 1, Tasks: 2}) {
		t.Errorf("Counts() = %+v", got)
	}

	b.RevokeAgent(g.runtimeID) // makes room
	b.grant(t, s, b.register(t, s, newKey(t, 2)))
	if got := b.Counts(); got != (authority.Counts{Identities: 1, Tasks: 1}) {
		t.Errorf("Counts() = %+v", got)
	}
}

func TestBiscuitsAreBoundedAndSwept(t *testing.T) {
	b := newBackend(t, authority.Options{})
	s := b.SignIn("acct-1", "user-1")
	mint := func() answer {
		r, err := http.NewRequest("GET", base+"/authenticate_app_v2", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "host"
		r.Header.Set("Authorization", "Bearer "+s.AccessToken)
		r.Header.Set("X-Original-Method", "POST")
		r.Header.Set("X-Original-Url", "http://host"+identityPath(base))
		return send(t, direct{b}, r)
	}
	minted := 0
	for ; mint().status == 200; minted++ {
	}
	if minted != authority.DefaultMaxBiscuitsPerAccount {
		t.Errorf("%d biscuits minted", minted)
	}
	b.check(t, mint(), 429, authority.CodeQuotaExceeded)
	b.advance(authority.DefaultBiscuitLifetime)
	b.check(t, mint(), 200, "")
}

func TestRefuseRegistration(t *testing.T) {
	b := newBackend(t, authority.Options{})
	s := b.SignIn("acct-1", "user-1")
	g := b.grant(t, s, b.register(t, s, newKey(t, 1)))
	for _, status := range []int{302, 401, 403, 429, 500, 503} {
		b.RefuseRegistration(status)
		for _, r := range []request{
			{"GET", base + "/authenticate_app_v2", []string{"Authorization", "Bearer " + s.AccessToken}, ""},
			{"POST", identityPath(base), nil, ""},
			{"POST", taskPath(base, g.runtimeID), nil, ""},
		} {
			b.check(t, b.do(t, r), status, authority.CodeRegistrationRefused)
		}
		// What is registered goes on working.
		b.check(t, b.do(t, request{"GET", base + "/codex/models", []string{"Authorization", g.assertion(t, start)}, ""}), 200, "")
	}
	b.RefuseRegistration(0)
	b.register(t, s, newKey(t, 2))

	for _, status := range []int{-1, 200, 299, 600} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("RefuseRegistration(%d) did not panic", status)
				}
			}()
			b.RefuseRegistration(status)
		}()
	}
}

func TestRandomnessThatFails(t *testing.T) {
	source := &source{}
	b := newBackend(t, authority.Options{Rand: source})
	s := b.SignIn("acct-1", "user-1")
	g := b.register(t, s, newKey(t, 1))
	b.grant(t, s, g)

	identity := request{"POST", identityPath(base), nil, identityBody(t, newKey(t, 2))}
	task := request{"POST", taskPath(base, g.runtimeID), nil, proofBody(t, g.key, g.runtimeID, start)}
	for _, tt := range []struct {
		name string
		to   request
		left int // bytes that the source still has after the biscuit
	}{
		{"the agent's id", identity, 0},
		{"the task's id", task, 0},
		{"the sealed box", task, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.to.headers = []string{"X-OpenAI-Authorization", b.mint(t, s.AccessToken, tt.to.path)}
			source.limit(tt.left)
			b.check(t, b.do(t, tt.to), 500, authority.CodeInternal)
			source.limit(-1)
		})
	}
	t.Run("the biscuit", func(t *testing.T) {
		source.limit(0)
		defer source.limit(-1)
		b.check(t, b.do(t, request{"GET", base + "/authenticate_app_v2", []string{
			"Authorization", "Bearer " + s.AccessToken,
			"X-Original-Method", "POST",
			"X-Original-Url", b.url + identityPath(base),
		}, ""}), 500, authority.CodeInternal)
	})
	t.Run("a session", func(t *testing.T) {
		source.limit(0)
		defer source.limit(-1)
		defer func() {
			if recover() == nil {
				t.Error("SignIn did not panic")
			}
		}()
		b.SignIn("acct-1", "user-1")
	})
	t.Run("repeated ids", func(t *testing.T) {
		for _, to := range []request{identity, task} {
			to.headers = []string{"X-OpenAI-Authorization", b.mint(t, s.AccessToken, to.path)}
			source.repeat()
			b.check(t, b.do(t, to), 200, "")
			to.headers = []string{"X-OpenAI-Authorization", b.mint(t, s.AccessToken, to.path)}
			source.repeat()
			b.check(t, b.do(t, to), 500, authority.CodeInternal)
		}
	})
	t.Run("repeated biscuits", func(t *testing.T) {
		mint := request{"GET", base + "/authenticate_app_v2", []string{
			"Authorization", "Bearer " + s.AccessToken,
			"X-Original-Method", "POST",
			"X-Original-Url", b.url + identityPath(base),
		}, ""}
		source.repeat()
		b.check(t, b.do(t, mint), 200, "")
		source.repeat()
		b.check(t, b.do(t, mint), 500, authority.CodeInternal)
	})
}

func TestAgentRevokedDuringRegistration(t *testing.T) {
	source := &source{}
	b := newBackend(t, authority.Options{Rand: source})
	s := b.SignIn("acct-1", "user-1")
	g := b.register(t, s, newKey(t, 1))
	path := taskPath(base, g.runtimeID)
	biscuit := b.mint(t, s.AccessToken, path)
	source.onRead = func() { b.RevokeAgent(g.runtimeID) } // when its signature has been checked
	a := b.do(t, request{"POST", path, []string{"X-OpenAI-Authorization", biscuit}, proofBody(t, g.key, g.runtimeID, start)})
	b.check(t, a, 404, authority.CodeUnknownAgent)
	if got := b.Counts(); got != (authority.Counts{}) {
		t.Errorf("Counts() = %+v", got)
	}
}

// source counts, until it has no more.
type source struct {
	onRead func() // if not nil

	mu      sync.Mutex
	n       byte
	limited bool
	left    int
}

// limit leaves n bytes, or no limit where n is negative.
func (s *source) limit(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limited, s.left = n >= 0, n
}

// repeat starts over, at a byte that no other test starts at.
func (s *source) repeat() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n = 101
}

func (s *source) Read(p []byte) (int, error) {
	if s.onRead != nil {
		s.onRead()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range p {
		if s.limited && s.left == 0 {
			return i, errors.New("no randomness")
		}
		s.left--
		s.n++
		p[i] = s.n
	}
	return len(p), nil
}

func TestConcurrentUse(t *testing.T) {
	b := newBackend(t, authority.Options{})
	s := b.SignIn("acct-1", "user-1")
	const agents = 8
	t.Run("agents", func(t *testing.T) { // returns when all of them are done
		for i := range agents {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				g := b.grant(t, s, b.register(t, s, newKey(t, byte(i))))
				call := func(status int, code string) {
					a := b.do(t, request{"GET", base + "/codex/models", []string{"Authorization", g.assertion(t, start)}, ""})
					if a.status != status || a.code() != code {
						t.Errorf("got %d %q, want %d %q", a.status, a.code(), status, code)
					}
				}
				call(200, "")
				b.Counts()
				b.ExpireTask(g.task)
				call(401, authority.CodeTaskExpired)
				if i%2 == 0 {
					b.RevokeAgent(g.runtimeID)
					call(401, authority.CodeUnknownAgent)
				}
			})
		}
	})
	if got := b.Counts(); got != (authority.Counts{Identities: agents / 2, Tasks: agents / 2}) {
		t.Errorf("Counts() = %+v", got)
	}
}

func TestBiscuitIsTakenOnce(t *testing.T) {
	b := newBackend(t, authority.Options{})
	s := b.SignIn("acct-1", "user-1")
	biscuit := b.mint(t, s.AccessToken, identityPath(base))
	var wg sync.WaitGroup
	for range 8 {
		r, err := http.NewRequest("POST", b.url+identityPath(base), strings.NewReader(identityBody(t, newKey(t, 1))))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-OpenAI-Authorization", biscuit)
		wg.Go(func() { b.ServeHTTP(httptest.NewRecorder(), r) })
	}
	wg.Wait()
	if got := b.Counts().Identities; got != 1 {
		t.Errorf("one biscuit registered %d identities", got)
	}
}
