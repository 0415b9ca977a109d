//go:build unix

package doctor_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/agentassert/agentassert/cmd/agentassert/internal/doctor"
)

// The users of these tests, and their group. No account has to have them.
const (
	alice = 41001
	bob   = 41002
	team  = 42000
)

// The variables of the child that examines as another user.
const (
	pathVariable = "AGENTASSERT_TEST_PATH"
	userVariable = "AGENTASSERT_TEST_USER"
)

func init() {
	children["examine"] = func() error {
		uid, err := strconv.Atoi(os.Getenv(userVariable))
		if err == nil {
			err = errors.Join(syscall.Setgroups(nil), syscall.Setgid(team), syscall.Setuid(uid))
		}
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(doctor.Examine(context.Background(), subjectIn(os.Getenv(pathVariable))))
	}
}

// examineAs examines as another user of the group.
func examineAs(t *testing.T, uid int, path string) (report doctor.Report) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be other users")
	}
	clearEnvironment(t)
	before := snapshot(t, filepath.Dir(path))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"=examine", pathVariable+"="+path, userVariable+"="+strconv.Itoa(uid))
	cmd.Stderr = os.Stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(output, &report); err != nil {
		t.Fatal(err)
	}
	if after := snapshot(t, filepath.Dir(path)); after != before {
		t.Errorf("something has changed:\n%s\nwas\n%s", after, before)
	}
	checkReport(t, report)
	return report
}

// giveTo gives a file and its folder a user and the group, and modes. The folders above
// can be entered by all.
func giveTo(t *testing.T, path string, uid int, folder, file os.FileMode) {
	t.Helper()
	home := filepath.Dir(path)
	for _, entry := range []string{home, path} {
		if err := os.Chown(entry, uid, team); err != nil {
			t.Skipf("needs the right to give files away: %v", err)
		}
	}
	// Chown takes some bits of a mode away.
	if err := errors.Join(os.Chmod(home, folder), os.Chmod(path, file)); err != nil {
		t.Fatal(err)
	}
	openAbove(t, home)
}

// openAbove lets all users enter the folders above one, up to that of all temporary ones.
func openAbove(t *testing.T, folder string) {
	t.Helper()
	for folder = filepath.Dir(folder); folder != filepath.Clean(os.TempDir()) && folder != filepath.Dir(folder); folder = filepath.Dir(folder) {
		if err := os.Chmod(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRights(t *testing.T) {
	note := func(words ...string) want { return want{"rights", doctor.Note, words} }
	problem := func(words ...string) want { return want{"rights", doctor.Problem, words} }
	t.Run("one's own", func(t *testing.T) {
		want{"rights", doctor.OK, []string{"this user alone"}}.in(t, examine(t, subjectOf(t, newFile(t, document))))
	})
	t.Run("for all, in a closed folder", func(t *testing.T) {
		path := newFile(t, document)
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		note("0644", "chmod").in(t, examine(t, subjectOf(t, path)))
	})
	t.Run("for all", func(t *testing.T) {
		path := newFile(t, document)
		if err := errors.Join(os.Chmod(path, 0o644), os.Chmod(filepath.Dir(path), 0o755)); err != nil {
			t.Fatal(err)
		}
		openAbove(t, filepath.Dir(path))
		if info, err := os.Stat(os.TempDir()); err != nil || info.Mode().Perm()&1 == 0 {
			t.Skip("the folder of temporary files is this user's alone")
		}
		problem("every user", "0644", "chmod").in(t, examine(t, subjectOf(t, path)))
	})
	t.Run("a folder for all", func(t *testing.T) {
		path := newFile(t, document)
		if err := os.Chmod(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		problem("another file in the place", "chmod").in(t, examine(t, subjectOf(t, path)))
	})
	t.Run("for a group", func(t *testing.T) {
		path := newFile(t, document)
		if err := os.Chmod(path, 0o660); err != nil {
			t.Fatal(err)
		}
		note("shared by the group", "0660").in(t, examine(t, subjectOf(t, path)))
	})
	t.Run("hard link", func(t *testing.T) {
		path := newFile(t, document)
		if err := os.Link(path, filepath.Join(t.TempDir(), "auth.json")); err != nil {
			t.Skipf("needs hard links: %v", err)
		}
		want{"links", doctor.Note, []string{"2 names", "written over"}}.in(t, examine(t, subjectOf(t, path)))
	})
	t.Run("another user's, for root", func(t *testing.T) {
		path := newFile(t, document)
		giveTo(t, path, alice, 0o700, 0o600)
		note("41001", "root", "stays theirs").in(t, examine(t, subjectOf(t, path)))
	})
	t.Run("another user's, of the same group", func(t *testing.T) {
		path := newFile(t, document)
		giveTo(t, path, alice, 0o2770, 0o660)
		note("41001", "written over").in(t, examineAs(t, bob, path))
	})
	t.Run("another user's, closed", func(t *testing.T) {
		path := newFile(t, document)
		giveTo(t, path, alice, 0o755, 0o600)
		want{"auth-file", doctor.Problem, []string{"cannot be read by this user", "41001"}}.in(t, examineAs(t, bob, path))
	})
	t.Run("in a closed folder", func(t *testing.T) {
		path := newFile(t, document)
		giveTo(t, path, alice, 0o700, 0o600)
		want{"auth-file", doctor.Problem, []string{"cannot be reached", "permission denied"}}.in(t, examineAs(t, bob, path))
	})
	t.Run("to be read alone, without an identity", func(t *testing.T) {
		path := newFile(t, document)
		giveTo(t, path, alice, 0o755, 0o640)
		problem("cannot be written", "no identity", "--store file:PATH").in(t, examineAs(t, bob, path))
	})
	t.Run("to be read alone, with an identity", func(t *testing.T) {
		path := newFile(t, withIdentity(t, ""))
		giveTo(t, path, alice, 0o755, 0o640)
		note("cannot be written", "kept in memory").in(t, examineAs(t, bob, path))
	})
	t.Run("beside which nothing can be put", func(t *testing.T) {
		path := newFile(t, document)
		giveTo(t, path, alice, 0o755, 0o660)
		note("nothing can be put into", "no lock").in(t, examineAs(t, bob, path))
	})
	t.Run("a record of another user's", func(t *testing.T) {
		path := newFile(t, document)
		giveTo(t, path, alice, 0o755, 0o660)
		write(t, path+".backoff", "{}")
		want{"records", doctor.Problem, []string{".backoff", "cannot be read", "chown"}}.in(t, examineAs(t, alice, path))
		want{"records", doctor.Problem, []string{".backoff", "who cannot get at it"}}.in(t, examine(t, subjectOf(t, path)))
	})
	t.Run("a lock of another user's", func(t *testing.T) {
		path := newFile(t, document)
		giveTo(t, path, alice, 0o755, 0o660)
		write(t, path+".registration.lock", "")
		want{"locks", doctor.Problem, []string{"registration.lock", "cannot be opened", "chown"}}.in(t, examineAs(t, alice, path))
	})
	t.Run("a pipe", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "auth.json")
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Skipf("needs pipes: %v", err)
		}
		want{"auth-file", doctor.Problem, []string{"is a pipe"}}.in(t, examine(t, subjectOf(t, path)))
	})
}
