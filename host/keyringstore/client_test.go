package keyringstore_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/keyringstore"
)

var (
	_ host.Prober           = (*keyringstore.Store)(nil)
	_ host.CredentialSource = (*keyringstore.ClientCredentials)(nil)
)

// client returns the sign-in of a client whose entry in a keyring has that value.
func client(t *testing.T, value string) (*keyringstore.ClientCredentials, *fake) {
	t.Helper()
	k := new(fake)
	c, err := keyringstore.NewClientCredentialsOn(t.TempDir(), 0, k)
	if err != nil {
		t.Fatal(err)
	}
	k.items = map[string]string{"Codex Auth:" + c.Account: value}
	return c, k
}

func TestClientCredentials(t *testing.T) {
	idToken := "e30." + base64.RawURLEncoding.EncodeToString([]byte(
		`{"email":"a@example.com","https://api.openai.com/auth":{"chatgpt_user_id":"user-1","chatgpt_plan_type":"team","chatgpt_account_is_fedramp":true}}`)) + ".e30"
	for _, test := range []struct {
		name, entry string
		want        wire.Credentials
		problem     string
	}{
		{
			"a ChatGPT sign-in", `{"auth_mode":"chatgpt","OPENAI_API_KEY":null,"tokens":{"id_token":"` + idToken + `","access_token":"secret-token","account_id":"acct-1"}}`,
			wire.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: "secret-token", AccountID: "acct-1", UserID: "user-1", Email: "a@example.com", PlanType: "team", FedRAMP: true}, "",
		},
		{"an API key", `{"auth_mode":"apikey","OPENAI_API_KEY":"secret-key"}`, wire.Credentials{Kind: wire.CredentialsAPIKey, AccessToken: "secret-key"}, core.CodeAPIKeySignIn},
		{"nobody", `{}`, wire.Credentials{Kind: wire.CredentialsNone}, core.CodeNotSignedIn},
		{
			"an identity alone", `{"auth_mode":"agentIdentity","agent_identity":{"account_id":"acct-1","chatgpt_user_id":"user-1"}}`,
			wire.Credentials{Kind: wire.CredentialsAgentIdentity, AccountID: "acct-1", UserID: "user-1"}, "",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, _ := client(t, test.entry)
			got, err := c.Credentials(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if problem := got.Problem; problem != nil {
				if problem.Code != test.problem || !strings.Contains(problem.Message, "keyring") || strings.Contains(problem.Message, "secret") {
					t.Errorf("got the problem %v, want code %q", problem, test.problem)
				}
				got.Problem = nil
			} else if test.problem != "" {
				t.Errorf("no problem, want %q", test.problem)
			}
			if got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestClientWithoutEntry(t *testing.T) {
	c, k := client(t, "{}")
	clear(k.items)
	got, err := c.Credentials(t.Context())
	if err != nil || got.Kind != wire.CredentialsNone || got.Problem == nil || got.Problem.Code != keyringstore.CodeNotSignedIn {
		t.Errorf("got %v, problem %v, %v", got, got.Problem, err)
	}
}

func TestClientEntryThatCannotBeRead(t *testing.T) {
	for _, test := range []struct{ name, entry, code string }{
		{"no JSON", "secret-garbage", core.CodeInvalidAuthJSON},
		{"nothing", "", core.CodeInvalidAuthJSON},
		{"a byte order mark", "\ufeff{}", core.CodeAuthJSONByteOrderMark},
		{"too large", `{"secret":"` + strings.Repeat("a", 1<<20) + `"}`, keyringstore.CodeTooLarge},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, _ := client(t, test.entry)
			got, err := c.Credentials(t.Context())
			checkCode(t, err, test.code)
			if text := err.Error(); got != (wire.Credentials{}) || strings.Contains(text, "secret") || !strings.Contains(text, "keyring") {
				t.Errorf("got %v, %.200s", got, text)
			}
		})
	}
}

func TestClientKeyringThatFails(t *testing.T) {
	c, k := client(t, `{"tokens":{"access_token":"secret-token"}}`)
	k.before = func(string) error { return errBroken }
	_, err := c.Credentials(t.Context())
	checkCode(t, err, keyringstore.CodeUnavailable)
	if !errors.Is(err, errBroken) {
		t.Errorf("the cause is missing in %v", err)
	}
	k.before = func(string) error { t.Error("a caller that has gone is asked for"); return nil }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Credentials(ctx)
	checkCode(t, err, keyringstore.CodeCanceled)
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v %#v", c, c)} {
		if strings.Contains(text, "secret") {
			t.Errorf("got %s", text)
		}
	}
}

// TestClientAccount compares with what sha256sum prints.
func TestClientAccount(t *testing.T) {
	if got, want := keyringstore.ClientAccount("/home/user/.codex"), "cli|59448a44901f7128"; got != want {
		t.Errorf("the account is %q, want %q", got, want)
	}
	home := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(home, link); err != nil {
		t.Skipf("needs symbolic links: %v", err)
	}
	direct, err := keyringstore.NewClientCredentials(home, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(home)
	for _, path := range []string{link, home + string(filepath.Separator), filepath.Join(link, "..", filepath.Base(link)), "."} {
		c, err := keyringstore.NewClientCredentials(path, 0)
		if err != nil || c.Account != direct.Account {
			t.Errorf("%s: got %v, %v; want %v", path, c, err, direct)
		}
	}
	if canonical, err := filepath.EvalSymlinks(home); runtime.GOOS == "linux" && (err != nil || direct.Account != keyringstore.ClientAccount(canonical)) {
		t.Errorf("%s: got %v, %v", home, direct, err)
	}
}

func TestVerbatim(t *testing.T) {
	for path, want := range map[string]string{
		`C:\Users\a\.codex`:           `\\?\C:\Users\a\.codex`,
		`\\server\share\a\.codex`:     `\\?\UNC\server\share\a\.codex`,
		`\\?\C:\Users\a\.codex`:       `\\?\C:\Users\a\.codex`,
		`\\?\UNC\server\share\.codex`: `\\?\UNC\server\share\.codex`,
	} {
		if got := keyringstore.Verbatim(path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

func TestClientInvalidConfig(t *testing.T) {
	_, err := keyringstore.NewClientCredentials("", 0)
	checkCode(t, err, core.CodeInvalidConfig)
	_, err = keyringstore.NewClientCredentials(filepath.Join(t.TempDir(), "missing"), 0)
	checkCode(t, err, core.CodeInvalidConfig)
	_, err = keyringstore.NewClientCredentials(t.TempDir(), -1)
	checkCode(t, err, core.CodeInvalidConfig)
}
