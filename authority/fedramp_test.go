package authority_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/authority"
)

func TestFedRAMP(t *testing.T) {
	b := newBackend(t, authority.Options{})
	fed := b.SignInUser(authority.User{AccountID: "acct-1", UserID: "user-1", FedRAMP: true})
	plain := b.SignIn("acct-2", "user-2")
	laterFed, _ := b.grantLater(t, b.registerLater(t, fed, newKey(t, 1), "X-OpenAI-Fedramp", "true"))
	defaultFed := b.grant(t, fed, b.register(t, fed, newKey(t, 2))) // without the header, as it is captured
	laterPlain, _ := b.grantLater(t, b.registerLater(t, plain, newKey(t, 3)))

	for _, as := range []struct {
		name, authorization string
		fedRAMP             bool
		path, body          string
	}{
		{"bearer", "Bearer " + fed.AccessToken, true, base + "/codex/models", ""},
		{"assertion", laterFed.assertion(t, start), true, "/wham/apps", ""},
		{"assertion from the default profile", defaultFed.assertion(t, start), true, base + "/codex/models", ""},
		{"identity registration", "Bearer " + fed.AccessToken, true, identityPath(authAPI), laterIdentityBody(t, newKey(t, 4))},
		{"bearer of another account", "Bearer " + plain.AccessToken, false, base + "/codex/models", ""},
		{"assertion of another account", laterPlain.assertion(t, start), false, base + "/codex/models", ""},
	} {
		for _, header := range []struct {
			name   string
			values []string
			status int
			code   string
		}{
			{"true", []string{"X-OpenAI-Fedramp", "true"}, 200, ""},
			{"nothing", nil, 403, authority.CodeFedRAMPRequired},
			{"false", []string{"X-OpenAI-Fedramp", "false"}, 403, authority.CodeFedRAMPRequired},
			{"other case", []string{"X-OpenAI-Fedramp", "True"}, 403, authority.CodeFedRAMPRequired},
			{"true, twice", []string{"X-OpenAI-Fedramp", "true", "X-OpenAI-Fedramp", "true"}, 400, authority.CodeInvalidRequest},
		} {
			t.Run(as.name+", "+header.name, func(t *testing.T) {
				if !as.fedRAMP { // the header does not matter
					header.status, header.code = 200, ""
				}
				a := b.do(t, request{"POST", as.path, append([]string{"Authorization", as.authorization}, header.values...), as.body})
				b.check(t, a, header.status, header.code)
				if as.body == "" && header.status == 200 && (a.body["fedramp"] == true) != as.fedRAMP {
					t.Errorf("the answer is %v", a.body)
				}
				if last := b.last(); !last.Verified {
					t.Errorf("the credential is good, but observed is %+v", last)
				}
			})
		}
	}
}

func TestFedRAMPClaim(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options authority.Options
		user    authority.User
		want    string
	}{
		{"no", authority.Options{}, authority.User{AccountID: "a", UserID: "u"},
			`{"chatgpt_account_id":"a","chatgpt_plan_type":"pro","chatgpt_user_id":"u"}`},
		{"yes", authority.Options{}, authority.User{AccountID: "a", UserID: "u", PlanType: "edu", FedRAMP: true},
			`{"chatgpt_account_id":"a","chatgpt_account_is_fedramp":true,"chatgpt_plan_type":"edu","chatgpt_user_id":"u"}`},
		{"all accounts", authority.Options{FedRAMP: true}, authority.User{AccountID: "a", UserID: "u"},
			`{"chatgpt_account_id":"a","chatgpt_account_is_fedramp":true,"chatgpt_plan_type":"pro","chatgpt_user_id":"u"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := authority.New(tt.options)
			if err != nil {
				t.Fatal(err)
			}
			s := a.SignInUser(tt.user)
			var claims map[string]any
			if err := json.Unmarshal(decodeBase64URL(t, strings.Split(s.IDToken, ".")[1]), &claims); err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(claims["https://api.openai.com/auth"])
			if err != nil || string(got) != tt.want {
				t.Errorf("the claims are %s, want %s (%v)", got, tt.want, err)
			}
		})
	}
}

// TestFedRAMPOfAnyBearer: a token that proves nothing has an account all the
// same.
func TestFedRAMPOfAnyBearer(t *testing.T) {
	b := newBackend(t, authority.Options{AcceptAnyBearer: true, FedRAMP: true})
	for _, account := range []string{"", "acct-1"} {
		call := request{"GET", base + "/codex/models", []string{"Authorization", "Bearer x", "ChatGPT-Account-ID", account}, ""}
		b.check(t, b.do(t, call), 403, authority.CodeFedRAMPRequired)
		call.headers = append(call.headers, "X-OpenAI-Fedramp", "true")
		a := b.do(t, call)
		b.check(t, a, 200, "")
		if a.body["fedramp"] != true {
			t.Errorf("the answer is %v", a.body)
		}
	}
}
