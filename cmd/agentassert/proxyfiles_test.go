package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/host/proxy"
)

const ownToken = "0123456789abcdef0123456789ABCDEF"

// start runs the command, and returns what it has said when it listens, and how to
// end it.
func start(t *testing.T, args ...string) (said string, stop func() result) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	listening := make(chan string, 1)
	ended := make(chan result, 1)
	go func() {
		var stdout bytes.Buffer
		stderr := &notify{first: listening}
		code := execute(ctx, append([]string{"proxy", "--engine", "native"}, args...), strings.NewReader(""), &stdout, stderr)
		ended <- result{code, stdout.String(), stderr.text.String()}
	}()
	select {
	case said = <-listening:
	case r := <-ended:
		cancel()
		t.Fatalf("it ended: %+v", r)
	}
	stop = func() result {
		cancel()
		return <-ended
	}
	return said, stop
}

// TestProxyUsesTheOperatorsToken, and says and writes it nowhere.
func TestProxyUsesTheOperatorsToken(t *testing.T) {
	u := startUpstream(t, none)
	dir := t.TempDir()
	path := filepath.Join(dir, "own")
	if err := os.WriteFile(path, []byte(ownToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	said, stop := start(t, "--listen", "127.0.0.1:0", "--upstream", u.url, "--auth-file", u.authFile, "--token-from", path, "--trust-host", "127.0.0.1")
	_, rest, _ := strings.Cut(said, " at ")
	url, _, _ := strings.Cut(rest, ";")
	p := &running{url: url, token: ownToken}
	p.assertion(t, "GET", "/codex/models")
	if status, _ := p.call(t, "GET", "/codex/models", http.Header{proxy.TokenHeader: {ownToken + "x"}}); status != http.StatusUnauthorized {
		t.Errorf("another token: %d", status)
	}
	if r := stop(); r.code != 0 || strings.Contains(r.stdout+r.stderr, ownToken) {
		t.Errorf("%+v", r)
	}
	if string(readFile(t, path)) != ownToken+"\n" {
		t.Error("the operator's file changed")
	}
}

// TestProxyFiles: the files that a run writes end with it, also where it does not
// begin; what is somebody else's stays.
func TestProxyFiles(t *testing.T) {
	u := startUpstream(t, none)
	dir := t.TempDir()
	tokenFile, addrFile := filepath.Join(dir, "token"), filepath.Join(dir, "addr")
	common := []string{"--listen", "127.0.0.1:0", "--upstream", u.url, "--auth-file", u.authFile}
	absent := func(t *testing.T, paths ...string) {
		t.Helper()
		for _, path := range paths {
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v", filepath.Base(path), err)
			}
		}
	}
	t.Run("end", func(t *testing.T) {
		_, stop := start(t, append(common, "--token-file", tokenFile, "--addr-file", addrFile)...)
		if len(readFile(t, tokenFile)) == 0 || len(readFile(t, addrFile)) == 0 {
			t.Error("a file is empty")
		}
		if r := stop(); r.code != 0 {
			t.Errorf("%+v", r)
		}
		absent(t, tokenFile, addrFile)
	})
	t.Run("a failed start", func(t *testing.T) {
		got := tool(t, "", append([]string{"proxy"}, append(common, "--token-file", tokenFile, "--addr-file", filepath.Join(dir, "none", "addr"))...)...)
		if got.code != exitFailed || !strings.Contains(got.stderr, "the address cannot be written") {
			t.Errorf("%+v", got)
		}
		absent(t, tokenFile)
	})
	t.Run("of a later run", func(t *testing.T) {
		_, stop := start(t, append(common, "--token-file", tokenFile, "--addr-file", addrFile)...)
		_, stopLater := start(t, append(common, "--token-file", tokenFile, "--addr-file", addrFile)...)
		later := readFile(t, tokenFile)
		stop()
		if !bytes.Equal(readFile(t, tokenFile), later) || len(readFile(t, addrFile)) == 0 {
			t.Error("the later run's files are gone")
		}
		stopLater()
		absent(t, tokenFile, addrFile)
	})
	if runtime.GOOS == "windows" {
		return // to make links needs a right there
	}
	t.Run("a link", func(t *testing.T) {
		target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
		if err := errors.Join(os.WriteFile(target, []byte("precious"), 0o644), os.Symlink(target, link)); err != nil {
			t.Fatal(err)
		}
		for _, flag := range []string{"--token-file", "--addr-file"} {
			got := tool(t, "", append([]string{"proxy"}, append(common, flag, link)...)...)
			if got.code != exitFailed || !strings.Contains(got.stderr, "symbolic link") || string(readFile(t, link)) != "precious" {
				t.Errorf("%s: %+v", flag, got)
			}
		}
	})
}

// TestProxyExample runs the command's example for curl, with a curl that keeps what
// it was given: every program of the machine can read its command line.
func TestProxyExample(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the example is for a POSIX shell")
	}
	line := strings.Split(newProxy(&engineOptions{}).Example, "\n")[1]
	dir := t.TempDir()
	for name, text := range map[string]string{
		"token": ownToken + "\n",
		"curl":  "#!/bin/sh\nprintf '%s\\n' \"$0\" \"$@\" > arguments\ncat > input\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	shell := exec.Command("sh", "-e", "-c", line)
	shell.Dir = dir
	shell.Env = append(os.Environ(), "PATH="+dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	if out, err := shell.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if arguments := string(readFile(t, filepath.Join(dir, "arguments"))); strings.Contains(arguments, ownToken) || !strings.Contains(arguments, "-H\n@-\n") {
		t.Errorf("curl was called with %q", arguments)
	}
	if input := string(readFile(t, filepath.Join(dir, "input"))); input != proxy.TokenHeader+": "+ownToken+"\n" {
		t.Errorf("curl was given %q", input)
	}
}
