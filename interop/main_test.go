//go:build interop && unix

package interop

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// programs are what the tests run, beside the releases.
var programs struct {
	tool  string // ours
	cache string // where ours keeps compiled code
	// certificates is a file with the authority of the backends' certificates.
	certificates string
}

// TestMain looks for the clients. Those that are not there are said, and the
// tests that need them are skipped.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "agentassert-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
	code := 1
	if err := prepare(dir); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
	} else {
		code = m.Run()
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		code = 1
	}
	os.Exit(code)
}

// prepare finds and builds what the tests run. dir is a folder for it.
func prepare(dir string) error {
	for _, r := range releases {
		at, err := filepath.Abs(filepath.Join("..", "build", "interop", r.version))
		if err != nil {
			return err
		}
		if err := r.find(context.Background(), at); err != nil {
			return err
		}
		if r.missing != "" {
			fmt.Println("interop: skipped:", r.missing)
		}
	}
	programs.certificates = filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(programs.certificates, certificates().authority, 0o600); err != nil {
		return err
	}
	programs.cache = filepath.Join(dir, "cache")
	programs.tool = filepath.Join(dir, "agentassert")
	build := exec.Command("go", "build", "-o", programs.tool, "./agentassert")
	build.Dir = "../cmd"
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}
