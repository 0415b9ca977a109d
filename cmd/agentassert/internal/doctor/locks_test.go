package doctor_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/agentassert/agentassert/cmd/agentassert/internal/doctor"
)

// fileVariable is the file of a child.
const fileVariable = "AGENTASSERT_TEST_FILE"

func init() {
	children["lock"] = func() error {
		lock := flock.New(os.Getenv(fileVariable))
		if err := lock.Lock(); err != nil {
			return err
		}
		return untilTold()
	}
	children["write"] = func() error {
		f, err := os.OpenFile(os.Getenv(fileVariable), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		return untilTold()
	}
}

// untilTold says that all is ready, and waits until standard input ends.
func untilTold() error {
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// child starts this binary as a process of its own, which goes on until the test ends. It
// returns its id.
func child(t *testing.T, name, path string) (pid string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+name, fileVariable+"="+path)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the child: %v", err)
		}
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the child said %q, %v", line, err)
	}
	return strconv.Itoa(cmd.Process.Pid)
}

func TestLocks(t *testing.T) {
	t.Run("none", func(t *testing.T) {
		want{"locks", doctor.OK, []string{"nobody has used one yet"}}.in(t, examine(t, subjectOf(t, newFile(t, document))))
	})
	for _, name := range []string{"auth.lock", "auth.json.lock", "auth.json.registration.lock"} {
		t.Run(name, func(t *testing.T) {
			path := newFile(t, document)
			lock := filepath.Join(filepath.Dir(path), name)
			write(t, lock, "")
			want{"locks", doctor.OK, []string{"nobody holds a lock"}}.in(t, examine(t, subjectOf(t, path)))
			words := []string{name, "is held by", "wait"}
			if pid := child(t, "lock", lock); runtime.GOOS == "linux" {
				words = append(words, "process "+pid)
			}
			want{"locks", doctor.Note, words}.in(t, examine(t, subjectOf(t, path)))
		})
	}
	t.Run("something else in its place", func(t *testing.T) {
		path := newFile(t, document)
		if err := os.Mkdir(path+".lock", 0o700); err != nil {
			t.Fatal(err)
		}
		want{"locks", doctor.Problem, []string{"auth.json.lock", "remove it"}}.in(t, examine(t, subjectOf(t, path)))
	})
	t.Run("without", func(t *testing.T) {
		s := subjectOf(t, newFile(t, document))
		s.WithoutLocks = true
		want{"locks", doctor.Note, []string{"--without-locks"}}.in(t, examine(t, s))
	})
}

func TestWriters(t *testing.T) {
	t.Run("nobody", func(t *testing.T) {
		want{"writes", doctor.OK, []string{"1 h ago"}}.in(t, examine(t, subjectOf(t, newFile(t, document))))
	})
	t.Run("a client", func(t *testing.T) {
		if runtime.GOOS != "linux" {
			t.Skip("only Linux says which files a process has open")
		}
		path := newFile(t, document)
		pid := child(t, "write", path)
		want{"writes", doctor.Note, []string{"process " + pid, "open for writing", "not lost"}}.in(t, examine(t, subjectOf(t, path)))
	})
	t.Run("just now", func(t *testing.T) {
		path := newFile(t, document)
		setTime(t, path, now.Add(-3*time.Second))
		want{"writes", doctor.Note, []string{"3 s ago", "renewing"}}.in(t, examine(t, subjectOf(t, path)))
	})
	t.Run("in the middle", func(t *testing.T) {
		path := newFile(t, document[:99])
		setTime(t, path, now.Add(-3*time.Second))
		report := examine(t, subjectOf(t, path))
		want{"sign-in", doctor.Note, []string{"run this once more"}}.amongProblems(t, report)
		want{"sign-in", doctor.Problem, []string{"ends too early"}}.in(t, report)
	})
	t.Run("a save", func(t *testing.T) {
		path := newFile(t, document)
		temporary := filepath.Join(filepath.Dir(path), ".tmp-auth.json123")
		write(t, temporary, "")
		setTime(t, temporary, now.Add(-time.Minute))
		want{"writes", doctor.Note, []string{"a save is under way"}}.in(t, examine(t, subjectOf(t, path)))
		setTime(t, temporary, now.Add(-2*time.Hour))
		want{"writes", doctor.Note, []string{"has left"}}.in(t, examine(t, subjectOf(t, path)))
	})
	t.Run("another's temporary", func(t *testing.T) {
		path := newFile(t, document)
		write(t, filepath.Join(filepath.Dir(path), ".tmp-auth.json.swp"), "")
		want{"writes", doctor.OK, nil}.in(t, examine(t, subjectOf(t, path)))
	})
}

func TestRecords(t *testing.T) {
	for _, tt := range []struct {
		name, file, content string
		want                want
	}{
		{"a pause", "auth.json.backoff", `{"account-1":{"failures":2,"retry_at":"2026-11-27T12:05:00Z","code":"http_status"}}`, want{"calls", doctor.Problem, []string{"in 5 min"}}},
		{"damaged", "auth.json.backoff", "{", want{"records", doctor.Note, []string{"damaged", "remove it"}}},
		{"set aside", "auth.json.set-aside", `[{"set_aside_at":"2026-11-27T11:00:00Z","reason":"unknown_agent","agent_identity":{}}]`, want{"identity", doctor.Note, []string{"1 in all", "no longer knew"}}},
		{"an identity beside", "auth.json.identity", identity(t, ""), want{"records", doctor.Note, []string{"--identity-beside"}}},
		{"a journal", "auth.json.journal", "x", want{"records", doctor.Note, []string{"journal", "brings it to its end"}}},
		{"a file for a folder", "auth.json.threads", "x", want{"records", doctor.Problem, []string{".threads", "no folder"}}},
		{"all is well", "auth.json.backend", "{}", want{"records", doctor.OK, []string{".backend"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := newFile(t, document)
			write(t, filepath.Join(filepath.Dir(path), tt.file), tt.content)
			tt.want.in(t, examine(t, subjectOf(t, path)))
		})
	}
	t.Run("an identity beside that is asked for", func(t *testing.T) {
		path := newFile(t, document)
		write(t, path+".identity", identity(t, ""))
		s := subjectOf(t, path)
		s.Beside = true
		want{"calls", doctor.OK, []string{"agent-1"}}.in(t, examine(t, s))
	})
}
