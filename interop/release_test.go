//go:build interop && unix

package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// release is one release of the reference client. What differs between them is
// in here, and nowhere else in these tests.
type release struct {
	version string
	// profile is the profile of ours that registers as this release does.
	profile profile
	// binary is where the program is in a platform's package.
	binary string
	// threadTasks says that each thread has a task of its own, and that other calls
	// carry an assertion, too, one on the background task. Without it, only the
	// model's calls do, all on one task.
	threadTasks bool
	// integrity is of what npm installs, by its folder: the launcher, and the
	// binaries that have been looked at. npm has checked the packages against what
	// it notes.
	integrity map[string]string

	// program is where the client is, once it has been found. missing says why it
	// has not been.
	program, missing string
}

// The folders of the packages below an installation.
const (
	launcherFolder = "node_modules/@openai/codex"
	linuxFolder    = "node_modules/@openai/codex-linux-x64"
)

// releases are those that the tests run. The first is the one whose background
// task is this project's default profile, the last the newest.
var releases = []*release{
	{
		version:     "0.123.0",
		profile:     biscuit,
		binary:      "codex/codex",
		threadTasks: true,
		integrity: map[string]string{
			launcherFolder: "sha512-2614Hx8etVCYaLL38s01DHJ+MZSjcQ5bJZVzkjyQIWk49s2um+7pJLmOWWVHOtBDVzsxjligtfn0U5Vm1G4qOg==",
			linuxFolder:    "sha512-TtFmwDJggXVzSXNHVCu8PQorBBHAnrmAqa2sow+1v+Eb9eOZYrbls82rLgM1qqT31SBXh4nGIC7a/Tlv+tRzUw==",
		},
	},
	{
		version: "0.155.0",
		profile: authAPI,
		binary:  "bin/codex",
		integrity: map[string]string{
			launcherFolder: "sha512-35a85Hbwy9WXkDTJumLjTcmMgpR7BMdrTloWBVGjoA+FBCh7jb3+cYp2W+3U4klqGAjAskoIvQZv7/eedmCjHA==",
			linuxFolder:    "sha512-CiXkVTy4ERdFSXXP8n98/iOyVUCOYFPQ8cuwgeOEEbLhe1LnlQbgH/H8ZeuxO9WXKIZLJg0x626UgR9axY2zSA==",
		},
	},
	{
		version: "0.171.0",
		profile: authAPI,
		binary:  "bin/codex",
		integrity: map[string]string{
			launcherFolder: "sha512-1IOFzL2Xg86tLdw6kDo3GoKbkQENgQi7TI6rlEvN132R7ngSw7SNOIQoTcnKzSZZ8kf9N9GynCweSoaFbqk2Eg==",
			linuxFolder:    "sha512-l66NZkQgdk2C3pbcfULDz42yEUB581MVA6I+Y43Wp4OIqEy73HCdmZ0GTjeAHY2ycuH4N00d9VsLrwT1jxshTw==",
		},
	},
}

// background is the release of the default profile, newest the newest one.
var background, newest = releases[0], releases[len(releases)-1]

func (r *release) String() string { return r.version }

// need skips a test that cannot do without the release.
func (r *release) need(t *testing.T) {
	t.Helper()
	if r.missing != "" {
		t.Skip(r.missing)
	}
}

// find looks for the client in a folder, where npm has put it. It is an error if
// what is there is not what it should be; none if nothing is there.
func (r *release) find(ctx context.Context, dir string) error {
	pattern := filepath.Join(dir, "node_modules", "@openai", "codex-*", "vendor", "*", filepath.FromSlash(r.binary))
	found, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		r.missing = "the reference client " + r.version + " is not in build/interop; " +
			"'make interop' installs it, where there is npm and npm has it for " + runtime.GOOS + " on " + runtime.GOARCH
		return nil
	}
	if err := r.checkIntegrity(dir); err != nil {
		return err
	}
	home, err := os.MkdirTemp("", "agentassert-version-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)
	o, err := run(ctx, home, []string{"HOME=" + home, "CODEX_HOME=" + home}, found[0], "--version")
	if err != nil {
		return fmt.Errorf("the client %s: %w", r.version, err)
	}
	if strings.TrimSpace(o.stdout) != "codex-cli "+r.version {
		return fmt.Errorf("the client says that it is %q, not version %s: %s", o.stdout, r.version, o.stderr)
	}
	r.program = found[0]
	return nil
}

// checkIntegrity compares npm's notes with integrity.
func (r *release) checkIntegrity(dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, "node_modules", ".package-lock.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("npm has left no notes on the client %s; remove build/interop, and run 'make interop' again", r.version)
	}
	if err != nil {
		return err
	}
	var notes struct {
		Packages map[string]struct {
			Version   string `json:"version"`
			Integrity string `json:"integrity"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(data, &notes); err != nil {
		return fmt.Errorf("npm's notes on what it has installed: %w", err)
	}
	for name, p := range notes.Packages {
		if want, ok := r.integrity[name]; ok && p.Integrity != want {
			return fmt.Errorf("npm has installed another %s %s: %s", name, p.Version, p.Integrity)
		}
	}
	return nil
}
