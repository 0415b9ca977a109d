package doctor_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/agentassert/agentassert/cmd/agentassert/internal/doctor"
)

func TestAuthFile(t *testing.T) {
	ok := func(check string, words ...string) want { return want{check, doctor.OK, words} }
	note := func(check string, words ...string) want { return want{check, doctor.Note, words} }
	problem := func(check string, words ...string) want { return want{check, doctor.Problem, words} }
	for _, tt := range []struct {
		name  string
		path  func(t *testing.T) string
		wants []want
	}{
		{"signed in", func(t *testing.T) string { return newFile(t, document) }, []want{
			ok("auth-file", "can be read"), ok("sign-in", "account-1", "2026-11-26T10:00:00Z"), ok("identity", "no identity yet"), ok("calls", "once the first has registered"),
		}},
		{"with an identity", func(t *testing.T) string { return newFile(t, withIdentity(t, "")) }, []want{
			ok("identity", "agent-1", "task-1", "1 d ago"), ok("calls", "agent-1", "a new conversation registers"),
		}},
		{"missing", func(t *testing.T) string { return filepath.Join(t.TempDir(), "auth.json") }, []want{problem("auth-file", "there is no", "check the path")}},
		{"missing with its folder", func(t *testing.T) string { return filepath.Join(t.TempDir(), "typo", "auth.json") }, []want{
			problem("auth-file", "nor is there the folder"),
		}},
		{"tilde", func(*testing.T) string { return "~/.codex/auth.json" }, []want{problem("auth-file", "tilde", "$HOME")}},
		{"keyring", func(t *testing.T) string {
			home := t.TempDir()
			write(t, filepath.Join(home, "config.toml"), "cli_auth_credentials_store = \"keyring\"\n")
			return filepath.Join(home, "auth.json")
		}, []want{problem("auth-file", "keyring", "--keyring-home")}},
		{"the home", func(t *testing.T) string { return filepath.Dir(newFile(t, document)) }, []want{problem("auth-file", "is a folder", "--auth-file", "auth.json")}},
		{"the home, of who uses the keyring", func(t *testing.T) string {
			home := t.TempDir()
			write(t, filepath.Join(home, "config.toml"), "cli_auth_credentials_store = \"keyring\"\n")
			return home
		}, []want{problem("auth-file", "is a folder", "--keyring-home")}},
		{"a folder with nothing", func(t *testing.T) string { return t.TempDir() }, []want{problem("auth-file", "is a folder", "there is none in this folder")}},
		{"a link to nowhere", func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "auth.json")
			link(t, "gone", path)
			return path
		}, []want{problem("auth-file", "symbolic link to gone")}},
		{"too large", func(t *testing.T) string { return newFile(t, document+strings.Repeat(" ", 512<<10)) }, []want{problem("auth-file", "larger than 512 KiB")}},
		{"byte order mark", func(t *testing.T) string { return newFile(t, "\xef\xbb\xbf"+document) }, []want{problem("sign-in", "byte order mark", "UTF-8")}},
		{"UTF-16", func(t *testing.T) string {
			b := []byte{0xff, 0xfe}
			for _, u := range utf16.Encode([]rune(document)) {
				b = append(b, byte(u), byte(u>>8))
			}
			return newFile(t, string(b))
		}, []want{problem("sign-in", "UTF-16")}},
		{"line ends of Windows", func(t *testing.T) string { return newFile(t, strings.ReplaceAll(document, "\n", "\r\n")) }, []want{ok("sign-in", "account-1")}},
		{"no JSON", func(t *testing.T) string { return newFile(t, document[:99]) }, []want{problem("sign-in")}},
		{"empty", func(t *testing.T) string { return newFile(t, "") }, []want{problem("sign-in")}},
		{"API key", func(t *testing.T) string { return newFile(t, `{"OPENAI_API_KEY":"S3cr3t-key"}`) }, []want{problem("sign-in", "API key")}},
		{"API key, too", func(t *testing.T) string {
			return newFile(t, strings.Replace(document, `"OPENAI_API_KEY": null`, `"OPENAI_API_KEY": "S3cr3t-key"`, 1))
		}, []want{note("sign-in", "not used")}},
		{"another mode", func(t *testing.T) string {
			return newFile(t, `{"auth_mode":"chatgptAuthTokens","tokens":{"access_token":"S3cr3t"}}`)
		}, []want{problem("sign-in", "auth_mode")}},
		{"signed out", func(t *testing.T) string { return newFile(t, `{"auth_mode":"chatgpt","tokens":null}`) }, []want{problem("sign-in", "nobody is signed in")}},
		{"another program's", func(t *testing.T) string {
			return newFile(t, `{"type":"codex","access_token":"S3cr3t","account_id":"account-1"}`)
		}, []want{note("sign-in", "other programs export"), ok("sign-in", "account-1")}},
		{"identity JWT", func(t *testing.T) string {
			return newFile(t, `{"auth_mode":"agentIdentity","agent_identity":"eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ.AAAA"}`)
		}, []want{note("sign-in", "identity JWT")}},
		{"an identity replaced", func(t *testing.T) string {
			return newFile(t, withIdentity(t, `,"identity_replaced_at":"2026-11-27T11:00:00Z","task_replaced_at":"2026-11-27T11:00:00Z"`))
		}, []want{note("identity", "no longer knew the identity", "agent-1", "1 h ago")}},
		{"a task replaced", func(t *testing.T) string {
			return newFile(t, withIdentity(t, `,"task_replaced_at":"2026-11-27T11:00:00Z"`))
		}, []want{
			note("identity", "no longer knew the background task", "task-1"),
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			report := examine(t, subjectOf(t, tt.path(t)))
			for _, w := range tt.wants {
				w.in(t, report)
			}
		})
	}
}

func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Skipf("needs the right to make symbolic links: %v", err)
	}
}

// Who names a wrong file may have meant that of CODEX_HOME.
func TestFileOfCodexHome(t *testing.T) {
	s := subjectOf(t, filepath.Join(t.TempDir(), "auth.json"))
	there := newFile(t, document)
	t.Setenv("CODEX_HOME", filepath.Dir(there))
	want{"auth-file", doctor.Note, []string{"CODEX_HOME", there}}.amongProblems(t, examine(t, s))
}

func TestLinks(t *testing.T) {
	t.Run("symbolic", func(t *testing.T) {
		shared := newFile(t, document)
		home := filepath.Join(t.TempDir(), "home")
		if err := os.Mkdir(home, 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(home, "auth.json")
		link(t, shared, path)
		want{"links", doctor.Note, []string{shared, "shares one sign-in"}}.in(t, examine(t, subjectOf(t, path)))
	})
	t.Run("a folder", func(t *testing.T) {
		shared := newFile(t, document)
		home := filepath.Join(t.TempDir(), "home")
		link(t, filepath.Dir(shared), home)
		want{"links", doctor.Note, []string{shared}}.in(t, examine(t, subjectOf(t, filepath.Join(home, "auth.json"))))
	})
	t.Run("Kubernetes", func(t *testing.T) {
		dir := t.TempDir()
		version := filepath.Join(dir, "..2026_11_27")
		if err := os.Mkdir(version, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(version, "auth.json"), document)
		link(t, "..2026_11_27", filepath.Join(dir, "..data"))
		link(t, "..data/auth.json", filepath.Join(dir, "auth.json"))
		want{"links", doctor.Note, []string{"Kubernetes", "replaced as a whole"}}.in(t, examine(t, subjectOf(t, filepath.Join(dir, "auth.json"))))
	})
}

// amongProblems is in, where there are problems as well.
func (w want) amongProblems(t *testing.T, report doctor.Report) {
	t.Helper()
	var without doctor.Report
	for _, f := range report.Findings {
		if f.Level != doctor.Problem || w.level == doctor.Problem {
			without.Findings = append(without.Findings, f)
		}
	}
	w.in(t, without)
}
