package keyringstore_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/keyringstore"
)

var (
	_ host.Prober           = (*keyringstore.Store)(nil)
	_ host.CredentialSource = (*keyringstore.ClientCredentials)(nil)
)

func TestClientCredentials(t *testing.T) {
	home := t.TempDir()
	if err := os.Symlink(home, filepath.Join(home, "link")); err != nil {
		t.Skipf("needs symbolic links: %v", err)
	}
	k := &fake{}
	c, err := keyringstore.NewClientCredentialsOn(filepath.Join(home, "link"), 0, k)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Credentials(t.Context())
	if err != nil || got.Kind != wire.CredentialsNone || got.Problem == nil || got.Problem.Code != keyringstore.CodeNotSignedIn {
		t.Errorf("without an entry: %v, problem %v, %v", got, got.Problem, err)
	}
	// As sha256sum has it.
	if got, want := keyringstore.ClientAccount("/home/user/.codex"), "cli|59448a44901f7128"; got != want {
		t.Errorf("the account is %q, want %q", got, want)
	}
	direct, err := keyringstore.NewClientCredentialsOn(home, 0, k)
	if err != nil || direct.Account != c.Account {
		t.Errorf("behind a link: %q, %v; want %q", c.Account, err, direct.Account)
	}
	k.items = map[string]string{"Codex Auth:" + c.Account: `{"tokens":{"access_token":"secret-token","account_id":"acct-1"}}`}
	got, err = c.Credentials(t.Context())
	if err != nil || got.Kind != wire.CredentialsChatGPT || got.AccessToken != "secret-token" || got.AccountID != "acct-1" {
		t.Errorf("got %v, %v", got, err)
	}
	k.items["Codex Auth:"+c.Account] = "secret-garbage"
	_, err = c.Credentials(t.Context())
	checkCode(t, err, core.CodeInvalidAuthJSON)
	if strings.Contains(err.Error(), "secret-") {
		t.Errorf("the error shows the entry: %v", err)
	}
	_, err = keyringstore.NewClientCredentials(filepath.Join(home, "missing"), 0)
	checkCode(t, err, core.CodeInvalidConfig)
}

// TestKeyringThatHangs: its callers go on, and what hangs is bounded.
func TestKeyringThatHangs(t *testing.T) {
	hanging := make(chan struct{})
	k := &fake{}
	s := open(t, k)
	k.before = func(string) error { <-hanging; return nil }
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, err := s.Load(ctx, wire.SlotIdentity)
		checkCode(t, err, keyringstore.CodeCanceled)
		cancel()
	}
	impatient, err := keyringstore.NewClientCredentialsOn(t.TempDir(), time.Millisecond, k)
	if err != nil {
		t.Fatal(err)
	}
	_, err = impatient.Credentials(t.Context())
	checkCode(t, err, keyringstore.CodeUnavailable)
	close(hanging) // and nothing is left behind, as TestMain sees
	checkLoad(t, s, wire.SlotIdentity, nil)
}

func TestSwap(t *testing.T) {
	s := open(t, new(fake))
	swap := func(old, new string) error {
		return s.Swap(t.Context(), wire.SlotIdentity, []byte(old), []byte(new))
	}
	for _, step := range []struct{ old, new, code string }{
		{"missing", "x", core.CodeRecordChanged},
		{"", "", ""},
		{"", "first", ""},
		{"", "x", core.CodeRecordChanged},
		{"first", string(record(5000, 1)), ""},
		{"first", "", core.CodeRecordChanged},
		{string(record(5000, 1)), "", ""},
	} {
		checkCode(t, swap(step.old, step.new), step.code)
	}
	checkLoad(t, s, wire.SlotIdentity, nil)
}
