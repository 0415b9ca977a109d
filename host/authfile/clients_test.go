package authfile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/authfile"
)

// refreshed is document after a client has refreshed the tokens; the client knows of
// no identity.
var refreshed = strings.Replace(document, "secret-token", "secret-refreshed", 1)

// otherWriter is another program, at two moments of a swap, each after one of its
// effects.
type otherWriter struct {
	name string
	// begin comes at the first moment and end, if there is one, at the second.
	begin func(t *testing.T, path string) (end func())
}

// otherWriters are what programs do that take no locks.
var otherWriters = []otherWriter{
	{"writes in place", func(t *testing.T, path string) func() {
		write(t, path, refreshed)
		return nil
	}},
	{"renames", func(t *testing.T, path string) func() {
		write(t, path+".other", refreshed)
		if err := os.Rename(path+".other", path); err != nil {
			t.Fatal(err)
		}
		return nil
	}},
	// The reference client up to 0.168: for a moment the file is empty.
	{"empties the file, then writes to it", func(t *testing.T, path string) func() {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
		if err != nil {
			t.Fatal(err)
		}
		return func() {
			if _, err := f.WriteString(refreshed); err != nil {
				t.Error(err)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	}},
	{"writes a half, then the other", func(t *testing.T, path string) func() {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
		if err != nil {
			t.Fatal(err)
		}
		half := len(refreshed) / 2
		if _, err := f.WriteString(refreshed[:half]); err != nil {
			t.Error(err)
		}
		return func() {
			if _, err := f.WriteString(refreshed[half:]); err != nil {
				t.Error(err)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	}},
}

// Whenever another program writes the file, what it has written is there in the
// end, and so is the identity, or the swap says that it is not.
func TestOtherWriters(t *testing.T) {
	merged := strings.Replace(withRecord, "secret-token", "secret-refreshed", 1)
	for _, w := range otherWriters {
		for _, inPlace := range []bool{false, true} {
			for change, want := range map[string]string{"Swap": merged, "Probe": refreshed} {
				t.Run(fmt.Sprintf("%s, %s in place %t", w.name, change, inPlace), func(t *testing.T) {
					for first := 1; ; first++ {
						for _, later := range []int{1, 3, 6} {
							ended, more := w.during(t, change, want, inPlace, first, first+later)
							if ended {
								return // before the first moment
							}
							if !more {
								break
							}
						}
					}
				})
			}
		}
	}
}

// during has a program write while a change is under way. It reports whether that
// had no such first moment, and whether there is more to see at a later second one.
func (w otherWriter) during(t *testing.T, change, want string, inPlace bool, first, second int) (ended, more bool) {
	t.Helper()
	f := newFile(t, document)
	if inPlace {
		if err := os.Link(f.Path(), filepath.Join(t.TempDir(), "other")); err != nil {
			t.Skipf("needs hard links: %v", err)
		}
	}
	var effects []wire.FileEffect
	var end func()
	unseen := false
	authfile.AfterEffect(t, func(e wire.FileEffect) {
		effects = append(effects, e)
		switch len(effects) {
		case first:
			if unseen = isUnseen(effects, change); !unseen {
				end = w.begin(t, f.Path())
			}
		case second:
			if end != nil {
				more = true
				end()
				end = nil
			}
		}
	})
	err := changes[change](f)
	if end != nil {
		end()
	}
	if len(effects) < first {
		return true, false
	}
	if unseen {
		return false, false
	}
	got, readErr := os.ReadFile(f.Path())
	if readErr != nil {
		t.Fatal(readErr)
	}
	switch code := core.Code(err); {
	case code == "" && string(got) == want:
	case code == "" && string(got) == refreshed && first >= lastRead(effects): // it had ended
	case (code == core.CodeRecordChanged || code == core.CodeFileBusy) && string(got) == refreshed:
	default:
		t.Errorf("after effects %d and %d of %s: %v, and the file holds %q", first, second, names(effects), err, got)
	}
	return false, more
}

// isUnseen reports whether a file is written over or cut off after the last of the
// effects, and was looked at before: of the microseconds in between nobody is seen
// who makes use.
func isUnseen(effects []wire.FileEffect, change string) bool {
	last := effects[len(effects)-1]
	if last.Name != wire.FileNameTarget {
		return false
	}
	journal := false
	for _, e := range effects {
		if e.Name == wire.FileNameJournal {
			journal = e.Type == wire.FileEffectInstall
		}
		if e.Type == wire.FileEffectWrite {
			journal = false
		}
	}
	// A probe cuts off the room that it has tried.
	return journal && last.Type == wire.FileEffectRead || change == "Probe" && last.Type == wire.FileEffectWrite
}

// lastRead counts the effects up to the last look at the file.
func lastRead(effects []wire.FileEffect) int {
	last := 0
	for i, e := range effects {
		if e.Type == wire.FileEffectRead && e.Name == wire.FileNameTarget {
			last = i + 1
		}
	}
	return last
}

func names(effects []wire.FileEffect) string {
	var b strings.Builder
	for i, e := range effects {
		fmt.Fprintf(&b, "%d %s %s, ", i+1, e.Type, e.Name)
	}
	return b.String()
}

// client is a child that does what the reference client does from 0.169 on: it
// takes both locks and replaces the file, each time with the next refresh token,
// and finds in it the one before.
func init() { children["client"] = refreshTokens }

const refreshes = 1000

func refreshTokens(f *authfile.File) error {
	first, second, _, _ := authfile.LockFiles(f.Path(), "")
	for n := range refreshes {
		unlock, err := lockFiles(first, second)
		if err != nil {
			return err
		}
		err = refresh(f.Path(), n)
		unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

func refresh(path string, n int) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, after := fmt.Sprintf(`"refresh_token":"%d"`, n), fmt.Sprintf(`"refresh_token":"%d"`, n+1)
	if strings.Count(string(text), before) != 1 {
		return fmt.Errorf("refresh token %d was lost: %s", n, text)
	}
	made := filepath.Join(filepath.Dir(path), fmt.Sprint(".auth-", n))
	if err := os.WriteFile(made, []byte(strings.Replace(string(text), before, after, 1)), 0o600); err != nil {
		return err
	}
	return os.Rename(made, path)
}

// A client that takes its locks loses nothing, and neither do we.
func TestClientWithLocks(t *testing.T) {
	f := newFile(t, `{"tokens":{"refresh_token":"0"}}`)
	client := startChild(t, "client", f.Path())
	ended := make(chan error, 1)
	go func() { ended <- client.Wait() }()
	for {
		swap(t, f, "", record)
		swap(t, f, record, "")
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the client: %v: %s", err, &client.errors)
			}
			checkContent(t, f.Path(), fmt.Sprintf(`{"tokens":{"refresh_token":"%d"}}`, refreshes))
			checkFolder(t, f.Path(), clientLocks...)
			return
		default:
		}
	}
}
