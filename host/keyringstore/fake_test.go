package keyringstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	system "github.com/zalando/go-keyring"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/keyringstore"
)

var _ host.Store = (*keyringstore.Store)(nil)

// errBroken is what a fake keyring fails with.
var errBroken = errors.New("the keyring broke")

// fake is a keyring with the limits of the narrowest real one, and faults.
type fake struct {
	mu    sync.Mutex
	items map[string]string
	// hang, where it is not nil, is called ahead of each access, of several at a time.
	hang func(access string)
	// before, where it is not nil, is called ahead of each access, one at a time.
	before func(access string) error
	// late has a change happen although it is reported as failed.
	late bool
}

func (f *fake) enter(name string) {
	if f.hang != nil {
		f.hang(name)
	}
	f.mu.Lock()
}

func (f *fake) access(name string) error {
	if f.before == nil {
		return nil
	}
	return f.before(name)
}

func (f *fake) Get(service, item string) (string, error) {
	f.enter("get")
	defer f.mu.Unlock()
	if err := f.access("get"); err != nil {
		return "", err
	}
	value, found := f.items[service+":"+item]
	if !found {
		return "", system.ErrNotFound
	}
	return value, nil
}

func (f *fake) Set(service, item, value string) error {
	f.enter("set")
	defer f.mu.Unlock()
	err := f.access("set")
	if err != nil && !f.late {
		return err
	}
	// What the library puts around a value on macOS, quotes included.
	command := len("add-generic-password -U -s '' -a '' -w 'go-keyring-base64:'\n") +
		len(service) + len(item) + (len(value)+2)/3*4
	if len(value) > 2560 || len(service+":"+item) > 512 || command > 4096 {
		return system.ErrSetDataTooBig
	}
	if f.items == nil {
		f.items = make(map[string]string)
	}
	f.items[service+":"+item] = value
	return err
}

func (f *fake) Delete(service, item string) error {
	f.enter("delete")
	defer f.mu.Unlock()
	err := f.access("delete")
	if err != nil && !f.late {
		return err
	}
	if _, found := f.items[service+":"+item]; !found {
		return system.ErrNotFound
	}
	delete(f.items, service+":"+item)
	return err
}

// names returns the names of all items.
func (f *fake) names() map[string]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	names := make(map[string]bool)
	for name := range maps.Keys(f.items) {
		names[name] = true
	}
	return names
}

// open returns a store on a keyring, with a folder of its own for locks.
func open(t *testing.T, k keyringstore.Keyring) *keyringstore.Store {
	t.Helper()
	s, err := keyringstore.OpenOn(t.Context(), keyringstore.Config{Account: "account", LockFolder: t.TempDir()}, k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// record returns n bytes that are always the same for the same n and seed.
func record(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(uint64(n), seed))
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return data
}

func save(t *testing.T, s *keyringstore.Store, slot string, record []byte) {
	t.Helper()
	if err := s.Save(t.Context(), slot, record); err != nil {
		t.Fatal(err)
	}
}

func checkLoad(t *testing.T, s *keyringstore.Store, slot string, want []byte) {
	t.Helper()
	got, err := s.Load(t.Context(), slot)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) || (got == nil) != (want == nil) {
		t.Fatalf("slot %.40q: got %s, want %s", slot, describe(got), describe(want))
	}
}

func describe(record []byte) string {
	if record == nil {
		return "nothing"
	}
	return fmt.Sprintf("%d bytes %.16x", len(record), record)
}

func checkCode(t *testing.T, err error, want string) {
	t.Helper()
	if got := core.Code(err); got != want {
		t.Fatalf("got code %q (%v), want %q", got, err, want)
	}
}
