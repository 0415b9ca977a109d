package doctor_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/agentassert/agentassert/cmd/agentassert/internal/doctor"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
)

// childVariable says what this binary does as a process of its own.
const childVariable = "AGENTASSERT_TEST_CHILD"

// children are what it can do.
var children = map[string]func() error{}

func TestMain(m *testing.M) {
	if child := os.Getenv(childVariable); child != "" {
		if err := children[child](); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// The secrets of the tests' sign-in, of which no report may have anything.
const (
	accessToken  = "S3cr3t-Access-0123456789"
	refreshToken = "S3cr3t-Refresh-0123456789"
)

// document is an auth.json of somebody who is signed in.
const document = `{
  "auth_mode": "chatgpt",
  "OPENAI_API_KEY": null,
  "tokens": {"id_token": "", "access_token": "` + accessToken + `", "refresh_token": "` + refreshToken + `", "account_id": "account-1"},
  "last_refresh": "2026-11-26T10:00:00.000000000Z"
}
`

// now is when the tests take place, for what has a time.
var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// withIdentity is the document with an identity in it, and its background task.
func withIdentity(t *testing.T, more string) string {
	t.Helper()
	return `{"tokens":{"access_token":"` + accessToken + `","account_id":"account-1"},"agent_identity":` + identity(t, more) + `}`
}

// identity is a record, with further members.
func identity(t *testing.T, more string) string {
	t.Helper()
	key, err := core.NewPrivateKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	record, err := core.Identity{
		AgentRuntimeID: "agent-1", PrivateKey: key.PKCS8(), TaskID: "task-1", AccountID: "account-1",
		BaseURL: "https://chatgpt.com/backend-api", RegisteredAt: "2026-11-26T12:00:00Z",
	}.Record()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(record), "}") + more + "}"
}

// clearEnvironment unsets what the tests' own environment says.
func clearEnvironment(t *testing.T) {
	t.Helper()
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"} {
		t.Setenv(name, "")
		t.Setenv(strings.ToLower(name), "")
	}
	for _, name := range []string{"CODEX_CA_CERTIFICATE", "SSL_CERT_FILE", "SSL_CERT_DIR", "CODEX_HOME", "REQUEST_METHOD"} {
		t.Setenv(name, "")
	}
	t.Setenv("PATH", t.TempDir())
}

// subjectOf is what is examined, with the auth.json at a path.
func subjectOf(t *testing.T, path string) doctor.Subject {
	t.Helper()
	clearEnvironment(t)
	return subjectIn(path)
}

// subjectIn is subjectOf in whatever environment there is.
func subjectIn(path string) doctor.Subject {
	return doctor.Subject{
		AuthFile: path,
		Manager:  host.ManagerConfig{Engine: host.NewNative(), BaseURL: "https://chatgpt.com/backend-api", AgentIdentity: true},
		Sandbox:  host.SandboxOptions{NoCache: true},
		Transport: func() (*http.Transport, error) {
			return nil, errors.New("something is to be sent")
		},
		Said: func(mode, reason string, cause, notice error) (lines []string) {
			for _, err := range []error{cause, notice} {
				if err != nil {
					lines = append(lines, err.Error())
				}
			}
			if mode == core.ModeBearer && cause == nil {
				lines = append(lines, reason)
			}
			return lines
		},
		Now: func() time.Time { return now },
	}
}

// newFile writes an auth.json of the user's own, which was not written just now.
func newFile(t *testing.T, content string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "home")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "auth.json")
	write(t, path, content)
	return path
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	setTime(t, path, now.Add(-time.Hour))
}

func setTime(t *testing.T, path string, at time.Time) {
	t.Helper()
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

// examine examines, and holds the report to what is true of all of them: nothing of a
// secret is in it, it says whether there is a problem, and nothing has changed.
func examine(t *testing.T, s doctor.Subject) doctor.Report {
	t.Helper()
	folder := filepath.Dir(s.AuthFile)
	before := snapshot(t, folder)
	report := doctor.Examine(t.Context(), s)
	if after := snapshot(t, folder); after != before {
		t.Errorf("something has changed:\n%s\nwas\n%s", after, before)
	}
	checkReport(t, report)
	return report
}

func checkReport(t *testing.T, report doctor.Report) {
	t.Helper()
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"S3cr3t", "MFECAQ"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the report has a secret: %s", text)
		}
	}
	ok := true
	for _, f := range report.Findings {
		ok = ok && f.Level != doctor.Problem
		if f.Check == "" || f.Message == "" || f.Level != doctor.OK && f.Level != doctor.Note && f.Level != doctor.Problem {
			t.Errorf("no finding: %+v", f)
		}
		if f.Level == doctor.Problem && f.Advice == "" {
			t.Errorf("a problem, and nothing to do: %+v", f)
		}
	}
	if report.OK != ok {
		t.Errorf("ok is %v: %s", report.OK, text)
	}
}

// want is a finding that is to be there.
type want struct {
	check, level string
	words        []string
}

// in looks for a finding, and for problems that nobody expects.
func (w want) in(t *testing.T, report doctor.Report) {
	t.Helper()
	found := false
	for _, f := range report.Findings {
		all := f.Check == w.check && f.Level == w.level
		for _, word := range w.words {
			all = all && strings.Contains(f.Message+" "+f.Advice, word)
		}
		found = found || all
		if f.Level == doctor.Problem && w.level != doctor.Problem {
			t.Errorf("a problem: %+v", f)
		}
	}
	if !found {
		t.Errorf("no %s of %s with %q in\n%s", w.level, w.check, w.words, printed(report))
	}
}

func printed(report doctor.Report) string {
	var b strings.Builder
	for _, f := range report.Findings {
		fmt.Fprintf(&b, "%-8s %-12s %s → %s\n", f.Level, f.Check, f.Message, f.Advice)
	}
	return b.String()
}

// snapshot has a line for each thing in a folder: name, mode, time of change, content.
func snapshot(t *testing.T, folder string) string {
	t.Helper()
	var b bytes.Buffer
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var content []byte
		if info.Mode().IsRegular() {
			content, _ = os.ReadFile(path)
		}
		fmt.Fprintf(&b, "%s %v %v %x\n", path, info.Mode(), info.ModTime(), sha256.Sum256(content))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
