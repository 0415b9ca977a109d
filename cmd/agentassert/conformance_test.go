package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/agentassert/agentassert/testvectors"
	"github.com/agentassert/agentassert/testvectors/conformance"
)

// asTool makes the test binary the command itself, for tests that start it.
const asTool = "AGENTASSERT_TEST_AS_TOOL"

func TestMain(m *testing.M) {
	if os.Getenv(asTool) != "" {
		main()
	}
	m.Run()
}

// self returns the start of a command line that runs this very tool, in a process
// of its own.
func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(asTool, "1")
	// The race detector would have each process wait for a second as it exits.
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	return `"` + path + `"`
}

// kit runs agentassert conformance, and fails the test where a goroutine is left.
func kit(t *testing.T, args ...string) result {
	t.Helper()
	ignored := goleak.IgnoreCurrent()
	r := tool(t, "", append([]string{"conformance"}, args...)...)
	goleak.VerifyNone(t, ignored)
	return r
}

// TestConformanceOfBothEngines runs all vectors, as the command's help says. The
// command is built, because with the race detector in it it would take a minute.
func TestConformanceOfBothEngines(t *testing.T) {
	files, err := testvectors.Load()
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, f := range files {
		total += len(f.Vectors)
	}
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	path := filepath.Join(dir, "agentassert")
	for _, engine := range []string{"native", "sandbox"} {
		kit := exec.Command(path, "conformance", "--complete", "--timeout", "1m",
			"--exec", fmt.Sprintf(`"%s" conformance runner --cache-dir "%s" --engine %s`, path, dir, engine))
		out, err := kit.CombinedOutput()
		if want := fmt.Sprintf("all %d 0 0 0 %d All %[1]d vectors have passed.", total, total); err != nil || !strings.HasSuffix(strings.Join(strings.Fields(string(out)), " "), want) {
			t.Errorf("%s: %v, want %s:\n%s", engine, err, want, out)
		}
	}
}

// TestConformanceOfTheHost runs the vectors for hosts against this program's policy; what
// answers nothing but the ABI fails them.
func TestConformanceOfTheHost(t *testing.T) {
	hosts, err := testvectors.LoadHosts()
	if err != nil {
		t.Fatal(err)
	}
	total := len(hosts[0].Vectors)
	path := filepath.Join(t.TempDir(), "agentassert")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for vectors, want := range map[string]int{"": 0, "../../testvectors": 0, "../../testvectors/hosts": exitFailed} {
		got := kit(t, "--hosts", "--complete", "--vectors", vectors, "--exec", `"`+path+`" conformance runner --engine native`)
		if got.code != want || want == 0 && !strings.Contains(strings.Join(strings.Fields(got.stdout), " "), fmt.Sprintf("effects %d 0 0 0 %d", total, total)) {
			t.Errorf("--vectors %q: %+v", vectors, got)
		}
	}
	if got := kit(t, "--hosts", "--area", "keys", "--exec", "true"); got.code != exitUsage {
		t.Errorf("an area that is none of hosts': %+v", got)
	}
}

// TestConformanceOfTheExample: a second implementation, which shares no code with
// this project, agrees in what it supports.
func TestConformanceOfTheExample(t *testing.T) {
	if version, err := exec.Command("node", "--version").Output(); err != nil || len(version) < 4 || string(version[:3]) < "v20" {
		t.Skipf("Node 20 or later is not installed (%s); the example of a runner is not run", strings.TrimSpace(string(version)))
	}
	path, err := filepath.Abs("../../testvectors/example/runner.mjs")
	if err != nil {
		t.Fatal(err)
	}
	got := kit(t, "--exec", `node "`+path+`"`, "--area", "assertions", "--area", "envelopes", "--json")
	var report conformance.Report
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil {
		t.Fatalf("%v: %+v", err, got)
	}
	if got.code != 0 || got.stderr != "" || report.Vectors != testvectors.SetVersion() || len(report.Areas) != 2 || len(report.Failures) != 0 {
		t.Fatalf("%+v", got)
	}
	files, err := testvectors.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		methods := map[string]int{}
		for _, v := range f.Vectors {
			methods[v.Method]++
		}
		for _, a := range report.Areas {
			if supported := methods["assertion.build"] + methods["assertion.verify"]; a.Area == f.Area && (a.Passed != supported || a.Unsupported != len(f.Vectors)-supported) {
				t.Errorf("%+v, of which it supports %d", a, supported)
			}
		}
	}
}

// TestConformanceCommand has the flags and the exit codes.
func TestConformanceCommand(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	vector := func(id, method, expected string) string {
		return fmt.Sprintf(`{"id":%q,"comment":"c","source":"s","method":%q,"params":{"private_key":"x"},%s}`, id, method, expected)
	}
	refused := `"error":{"code":"invalid_private_key"}`
	// Fifteen vectors in which the core is wrong, and one in which it is not.
	bad := []string{vector("good", "key.parse", refused)}
	for i := range 15 {
		bad = append(bad, vector(fmt.Sprintf("bad-%d", i), "key.parse", `"ok":{}`))
	}
	write("bad/VERSION", "7.8.9\n")
	write("bad/keys.json", `{"version":1,"area":"keys","vectors":[`+strings.Join(bad, ",")+`]}`)
	write("later/VERSION", "7.8.9\n")
	write("later/keys.json", `{"version":2,"area":"keys","vectors":[]}`)
	wrong := filepath.Join(dir, "bad")
	skip := write("skip", "# what we do not want\n\n good # this one\nbad-3\n")
	skipUnknown := write("skip-unknown", "good\nbda-3\n")
	skipAll := write("skip-all", "generate-rfc-8032-test-1\n")
	native := self(t) + " conformance runner --engine native"
	one := []string{"--id", "generate-rfc-8032-test-1"}
	for _, tt := range []struct {
		name string
		args []string
		code int
		want []string // in standard output, or in standard error for exit codes that have no report
	}{
		{"help", []string{"--help"}, 0, []string{"--skip-file", testvectors.SetVersion()}},
		{"no command", nil, exitUsage, []string{"exec"}},
		{"an argument", []string{"--exec", native, "keys"}, exitUsage, []string{"keys"}},
		{"an unknown area", []string{"--exec", native, "--area", "key"}, exitUsage, []string{`no area "key"`}},
		{"an id that matches nothing", []string{"--exec", native, "--area", "keys", "--id", "verify-*"}, exitUsage, []string{`matches "verify-*"`}},
		{"a pattern that is none", []string{"--exec", native, "--id", "["}, exitUsage, []string{"not a pattern"}},
		{"no time", []string{"--exec", native, "--timeout", "0s"}, exitUsage, []string{"--timeout"}},
		{"an id to skip that is none", []string{"--exec", native, "--vectors", wrong, "--skip-file", skipUnknown}, exitUsage, []string{"line 2", "bda-3"}},
		{"no file to skip", []string{"--exec", native, "--skip-file", filepath.Join(dir, "none")}, exitFailed, []string{"cannot be opened"}},
		{"no vectors", []string{"--exec", native, "--vectors", dir}, exitFailed, []string{"VERSION"}},
		{"another format", []string{"--exec", native, "--vectors", filepath.Join(dir, "later")}, exitFailed, []string{"the format's version is 2, not 1"}},
		{"no runner", append([]string{"--exec", "exit 9"}, one...), exitFailed, []string{"has answered nothing", "exit status 9"}},
		{"one area", append([]string{"--exec", native, "--area", "keys"}, one...), 0, []string{"\nkeys       1       0            0        0      1\n\nAll 1 vectors have passed.\n"}},
		{"failures", []string{"--exec", native, "--vectors", wrong}, exitNo, []string{
			"Test vectors 7.8.9 against", "\nkeys       1      15            0        0     16\n",
			"\n  bad-9\n    c (s)\n    response: got {\"error\":{\"code\":\"invalid_private_key\"}}; want {\"ok\":{}}\n\n  and 5 more\n",
		}},
		{"all failures", []string{"--exec", native, "--vectors", wrong, "--all-failures"}, exitNo, []string{"\n  bad-14\n"}},
		{"skipped", []string{"--exec", native, "--vectors", wrong, "--skip-file", skip}, exitNo, []string{"\nkeys       0      14            0        2     16\n", "Skipped: good bad-3\n"}},
		{"JSON", []string{"--exec", native, "--vectors", wrong, "--json"}, exitNo, []string{`"vectors": "7.8.9"`, `"id": "bad-14"`, `"path": "response"`}},
		{"nothing is left", append([]string{"--exec", native, "--skip-file", skipAll}, one...), exitNo, []string{"\nkeys       0       0            0        1      1\n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := kit(t, tt.args...)
			said := got.stdout
			if tt.code == exitUsage || tt.code == exitFailed {
				said = got.stderr
			}
			for _, want := range tt.want {
				if !strings.Contains(said, want) {
					t.Errorf("said %q, want %q in it", said, want)
				}
			}
			if got.code != tt.code || tt.code != 0 && strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("code %d, want %d; %q", got.code, tt.code, got.stderr)
			}
		})
	}
	if got := tool(t, "", "__complete", "conformance", "--area", ""); !strings.Contains(got.stdout, "sealed-boxes\n") {
		t.Errorf("the areas are completed as %+v", got)
	}
}

func TestConformanceVerdict(t *testing.T) {
	for _, tt := range []struct {
		total    conformance.Area
		complete bool
		want     string // empty: passed
	}{
		{conformance.Area{Passed: 1}, true, ""},
		{conformance.Area{Passed: 1, Unsupported: 1, Skipped: 1}, false, ""},
		{conformance.Area{Passed: 1, Skipped: 1}, true, ""},
		{conformance.Area{Passed: 1, Unsupported: 1}, true, "1 of 2 vectors are unsupported"},
		{conformance.Area{Passed: 2, Failed: 1, Unsupported: 1}, true, "1 of 4 vectors failed"},
		{conformance.Area{Failed: 1}, false, "1 of 1 vectors failed"},
		{conformance.Area{Unsupported: 3, Skipped: 1}, false, "nothing was tested: of 4 vectors 3 are unsupported and 1 were skipped"},
	} {
		got := ""
		if err := (&conformanceOptions{complete: tt.complete}).verdict(tt.total); err != nil {
			got = err.Error()
			if o := err.(*outcome); o.code != exitNo {
				t.Errorf("%+v: exit code %d", tt.total, o.code)
			}
		}
		if got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.total, got, tt.want)
		}
	}
}

// TestConformanceRunner answers lines as any runner does.
func TestConformanceRunner(t *testing.T) {
	const line = `{"id":"x","area":"keys","request":{"method":"key.parse","params":{"private_key":"x"}}}` + "\n"
	got := tool(t, line+"\n"+line, "conformance", "runner")
	if got.code != 0 || strings.Count(got.stdout, `{"id":"x","response":{"error":{"code":"invalid_private_key","message":"`) != 2 {
		t.Errorf("%+v", got)
	}
	if got := tool(t, "x\n", "conformance", "runner"); got.code != exitFailed || !strings.Contains(got.stderr, "cannot be read") {
		t.Errorf("%+v", got)
	}
}
