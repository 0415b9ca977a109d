package authfile_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/authfile"
)

// The variables of a child that is killed: which change it makes, and after how many
// effects it ends, or in the middle of which write.
const (
	changeVariable     = "AGENTASSERT_TEST_CHANGE"
	effectsVariable    = "AGENTASSERT_TEST_EFFECTS"
	writeVariable      = "AGENTASSERT_TEST_WRITE"
	thousandthVariable = "AGENTASSERT_TEST_THOUSANDTHS"
)

func init() { children["die"] = changeAndDie }

func changeAndDie(f *authfile.File) error {
	numbers := make(map[string]int)
	for _, name := range []string{effectsVariable, writeVariable, thousandthVariable} {
		n, err := strconv.Atoi(os.Getenv(name))
		if err != nil {
			return err
		}
		numbers[name] = n
	}
	authfile.DieAt(numbers[effectsVariable], numbers[writeVariable], numbers[thousandthVariable])
	return killedChanges[os.Getenv(changeVariable)].make(f)
}

// killedChanges are ways to write an auth.json: from what, to what.
var killedChanges = map[string]struct {
	before, after string
	make          func(*authfile.File) error
}{
	"in":    {document, withRecord, changes["Swap"]},
	"out":   {withRecord, document, func(f *authfile.File) error { return f.Swap(ctx, wire.SlotIdentity, []byte(record), nil) }},
	"probe": {document, document, changes["Probe"]},
}

// Whenever a process is killed, the next to read the file has what it was or what it
// was to be, whole; and the next to write it leaves nothing of the first.
func TestKilled(t *testing.T) {
	for change := range killedChanges {
		for _, inPlace := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, in place %t", change, inPlace), func(t *testing.T) {
				effects := 1
				for ; killChild(t, change, inPlace, effects, 0, 0); effects++ {
				}
				// Locks, reads, a temporary or a journal, its place, and back again.
				if effects < 10 {
					t.Errorf("the child has ended by itself after %d effects: was it killed at all?", effects)
				}
				writes := 1
				for ; killChild(t, change, inPlace, 0, writes, 0); writes++ {
					for _, thousandths := range []int{1, 250, 500, 750, 999, 1000} {
						killChild(t, change, inPlace, 0, writes, thousandths)
					}
				}
				if least := map[bool]int{false: 1, true: 2}[inPlace]; writes <= least {
					t.Errorf("the child was killed in %d writes, want %d at least", writes-1, least)
				}
			})
		}
	}
}

// killChild has a child make a change and killed meanwhile, and checks what it leaves. It
// reports whether the child was killed, or has ended before.
func killChild(t *testing.T, change string, inPlace bool, effects, write, thousandths int) bool {
	t.Helper()
	c := killedChanges[change]
	f := newFile(t, c.before)
	what := fmt.Sprintf("%s, killed after %d effects, or %d ‰ of write %d", change, effects, thousandths, write)
	other := filepath.Join(t.TempDir(), "other")
	if inPlace {
		if err := os.Link(f.Path(), other); err != nil {
			t.Skipf("needs hard links: %v", err)
		}
	}
	child := startChild(t, "die", f.Path(), changeVariable+"="+change, effectsVariable+"="+strconv.Itoa(effects),
		writeVariable+"="+strconv.Itoa(write), thousandthVariable+"="+strconv.Itoa(thousandths))
	killed := child.Wait() != nil
	if shown := child.errors.String(); shown != "" {
		t.Fatalf("%s: %s", what, shown)
	}

	// Who reads it next.
	identity, err := f.Load(ctx, wire.SlotIdentity)
	if err != nil || string(identity) != "" && string(identity) != record {
		t.Errorf("%s: Load: got %q, %v", what, identity, err)
	}
	got, err := os.ReadFile(f.Path())
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != c.before && string(got) != c.after {
		t.Fatalf("%s: the file holds %q", what, got)
	}
	if !killed && string(got) != c.after {
		t.Errorf("%s: the child has ended, and the file holds %q", what, got)
	}
	if inPlace {
		if linked, err := os.ReadFile(other); err != nil || !bytes.Equal(linked, got) {
			t.Errorf("%s: the other name has %q, %v", what, linked, err)
		}
	}

	// Who writes it next, once what was left is nobody's any more.
	leftovers, err := filepath.Glob(filepath.Join(filepath.Dir(f.Path()), ".tmp-*"))
	if err != nil {
		t.Fatal(err)
	}
	age(t, leftovers...)
	swap(t, f, string(identity), `{"a":"b"}`)
	checkContent(t, f.Path(), strings.Replace(withRecord, record, `{"a":"b"}`, 1))
	checkFolder(t, f.Path(), clientLocks...)
	return killed
}
