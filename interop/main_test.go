//go:build interop && unix

package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// clientVersion is what the captures were made with, and the only release that
// works the way this project's default profile does.
const clientVersion = "0.123.0"

// integrity is of what npm installs: the launcher, and the binaries that have
// been looked at. npm has checked the packages against what it notes.
var integrity = map[string]string{
	"node_modules/@openai/codex":           "sha512-2614Hx8etVCYaLL38s01DHJ+MZSjcQ5bJZVzkjyQIWk49s2um+7pJLmOWWVHOtBDVzsxjligtfn0U5Vm1G4qOg==",
	"node_modules/@openai/codex-linux-x64": "sha512-TtFmwDJggXVzSXNHVCu8PQorBBHAnrmAqa2sow+1v+Eb9eOZYrbls82rLgM1qqT31SBXh4nGIC7a/Tlv+tRzUw==",
}

// checkIntegrity compares npm's notes with integrity.
func checkIntegrity(modules string) error {
	data, err := os.ReadFile(filepath.Join(modules, ".package-lock.json"))
	if err != nil {
		return err
	}
	var notes struct {
		Packages map[string]struct {
			Integrity string `json:"integrity"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(data, &notes); err != nil {
		return fmt.Errorf("npm's notes on what it has installed: %w", err)
	}
	for name, p := range notes.Packages {
		if want, ok := integrity[name]; ok && p.Integrity != want {
			return fmt.Errorf("npm has installed another %s: %s", name, p.Integrity)
		}
	}
	return nil
}

// programs are what the tests run.
var programs struct {
	client string // the reference client
	tool   string // ours
	cache  string // where ours keeps compiled code
}

// TestMain skips everything, with success, where there is no client to run.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "agentassert-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
	code := testMain(m, dir)
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		code = 1
	}
	os.Exit(code)
}

func testMain(m *testing.M, dir string) (code int) {
	modules, err := filepath.Abs(filepath.FromSlash("../build/interop/node_modules"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		return 1
	}
	found, err := filepath.Glob(filepath.Join(modules, "@openai", "codex-*", "vendor", "*", "codex", "codex"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		return 1
	}
	if len(found) == 0 {
		fmt.Println("interop: skipped: the reference client is not in build/interop; 'make interop' installs it, where npm has a binary for this platform")
		return 0
	}
	if err := checkIntegrity(modules); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		return 1
	}
	programs.client = found[0]
	version, err := run(context.Background(), dir, []string{"HOME=" + dir, "CODEX_HOME=" + dir}, programs.client, "--version")
	if err != nil || strings.TrimSpace(version.stdout) != "codex-cli "+clientVersion {
		fmt.Fprintf(os.Stderr, "interop: the client says that it is %q, not version %s: %v %s\n", version.stdout, clientVersion, err, version.stderr)
		return 1
	}
	programs.cache = filepath.Join(dir, "cache")
	programs.tool = filepath.Join(dir, "agentassert")
	if out, err := exec.Command("go", "build", "-o", programs.tool, "../cmd/agentassert").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "interop: go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
