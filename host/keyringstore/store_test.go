package keyringstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	system "github.com/zalando/go-keyring"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/keyringstore"
)

const maxRecord = 512 << 10

// sizes are those at which the number of items changes, and the extremes.
var sizes = []int{1, 1499, 1500, 1501, 3000, 3001, 10_000, maxRecord}

func TestRoundTrip(t *testing.T) {
	for _, n := range sizes {
		k := new(fake)
		s := open(t, k)
		checkLoad(t, s, wire.SlotIdentity, nil)
		save(t, s, wire.SlotIdentity, record(n, 1))
		checkLoad(t, s, wire.SlotIdentity, record(n, 1))
		save(t, s, wire.SlotIdentity, record(n, 2))
		checkLoad(t, s, wire.SlotIdentity, record(n, 2))
		if got, want := len(k.names()), (n+1499)/1500; got != want {
			t.Errorf("%d bytes: %d items, want %d", n, got, want)
		}
		for range 2 { // an empty slot can be emptied
			if err := s.Delete(t.Context(), wire.SlotIdentity); err != nil {
				t.Fatal(err)
			}
			checkLoad(t, s, wire.SlotIdentity, nil)
		}
		if names := k.names(); len(names) != 0 {
			t.Errorf("%d bytes: items are left: %v", n, names)
		}
	}
}

func TestRecordsGrowAndShrink(t *testing.T) {
	k := new(fake)
	s := open(t, k)
	for _, from := range sizes[:len(sizes)-1] {
		for _, to := range sizes[:len(sizes)-1] {
			save(t, s, "slot", record(from, 1))
			save(t, s, "slot", record(to, 2))
			checkLoad(t, s, "slot", record(to, 2))
			if got, want := len(k.names()), (to+1499)/1500; got != want {
				t.Errorf("from %d to %d bytes: %d items, want %d", from, to, got, want)
			}
		}
	}
}

func TestSystemKeyring(t *testing.T) {
	system.MockInit()
	s, err := keyringstore.Open(t.Context(), keyringstore.Config{Account: "account"})
	if err != nil {
		t.Fatal(err)
	}
	save(t, s, wire.SlotIdentity, record(4000, 1))
	checkLoad(t, s, wire.SlotIdentity, record(4000, 1))
	if _, err := system.Get("agentassert", s.Item(wire.SlotIdentity)); err != nil {
		t.Errorf("the item is not under the default service: %v", err)
	}
	if err := s.Delete(t.Context(), wire.SlotIdentity); err != nil {
		t.Fatal(err)
	}
	checkLoad(t, s, wire.SlotIdentity, nil)
}

func TestSlotsAreOpaque(t *testing.T) {
	s := open(t, new(fake))
	slots := []string{
		wire.SlotIdentity, wire.SlotBackoff, "", "Identity", "identity.a.1", "thread/", "thread/a", "thread/A", "thread/a\x00",
		"thread/../x", "thread/a\nb 'c' \"d\" \\", "thread/ü", "thread/u\u0308", "thread/\u202e", "thread/" + strings.Repeat("ü", 2048),
		"thread/" + strings.Repeat("ü", 2047) + "u",
	}
	for i, slot := range slots {
		save(t, s, slot, record(2000, uint64(i)))
	}
	for i, slot := range slots {
		checkLoad(t, s, slot, record(2000, uint64(i)))
	}
}

func TestOwnersAreApart(t *testing.T) {
	k := new(fake)
	var stores []*keyringstore.Store
	for i, c := range []keyringstore.Config{
		{Account: "a"}, {Account: "A"}, {Account: "b"}, {Account: "a", Service: "b"}, {Account: "b", Service: "a"},
		{Account: strings.Repeat("a", 128), Service: strings.Repeat("b", 128)},
	} {
		c.LockFolder = t.TempDir()
		s, err := keyringstore.OpenOn(t.Context(), c, k)
		if err != nil {
			t.Fatal(err)
		}
		stores = append(stores, s)
		save(t, s, "slot", record(5000, uint64(i)))
	}
	for i, s := range stores {
		checkLoad(t, s, "slot", record(5000, uint64(i)))
	}
	folded := make(map[string]bool)
	for name := range k.names() {
		folded[strings.ToLower(name)] = true
	}
	if len(folded) != len(k.names()) {
		t.Error("two items differ in case alone, which Windows ignores")
	}
}

func TestTooLarge(t *testing.T) {
	s := open(t, new(fake))
	checkCode(t, s.Save(t.Context(), "slot", make([]byte, maxRecord+1)), keyringstore.CodeTooLarge)
	checkLoad(t, s, "slot", nil)
}

// TestEveryFault breaks the keyring for good at each access of a Save in turn,
// ahead of the change or behind it, and looks at what a later process finds.
func TestEveryFault(t *testing.T) {
	for _, late := range []bool{false, true} {
		for _, from := range []int{100, 8000} {
			for _, to := range []int{100, 5000} {
				t.Run(fmt.Sprintf("late %t, from %d to %d bytes", late, from, to), func(t *testing.T) {
					everyFault(t, late, record(from, 1), func(t *testing.T, s *keyringstore.Store) error {
						return s.Save(t.Context(), "slot", record(to, 2))
					}, record(to, 2))
				})
			}
			t.Run(fmt.Sprintf("late %t, deleting %d bytes", late, from), func(t *testing.T) {
				everyFault(t, late, record(from, 1), func(t *testing.T, s *keyringstore.Store) error {
					return s.Delete(t.Context(), "slot")
				}, nil)
			})
		}
	}
}

func everyFault(t *testing.T, late bool, old []byte, change func(*testing.T, *keyringstore.Store) error, changed []byte) {
	broke := true
	for accesses := 0; broke; accesses++ {
		k := &fake{late: late}
		s := open(t, k)
		save(t, s, "slot", old)
		n := 0
		k.before = func(string) error {
			if n++; n > accesses {
				return errBroken
			}
			return nil
		}
		changeErr := change(t, s)
		k.before = nil
		broke = n > accesses

		got, err := s.Load(t.Context(), "slot")
		if err != nil {
			t.Fatalf("after %d accesses: %v", accesses, err)
		}
		if !bytes.Equal(got, changed) && (changeErr == nil || !bytes.Equal(got, old)) {
			t.Fatalf("after %d accesses: %s", accesses, describe(got))
		}
		if changeErr != nil {
			if code := core.Code(changeErr); code != keyringstore.CodeUnavailable && code != keyringstore.CodeWriteFailed {
				t.Fatalf("after %d accesses: %v", accesses, changeErr)
			}
			if !errors.Is(changeErr, errBroken) {
				t.Errorf("the cause is missing in %v", changeErr)
			}
		}

		save(t, s, "slot", record(2000, 3))
		checkLoad(t, s, "slot", record(2000, 3))
		if got := len(k.names()); got != 2 {
			t.Errorf("after %d accesses, and a good save: %d items, want 2", accesses, got)
		}
		if err := s.Delete(t.Context(), "slot"); err != nil {
			t.Fatal(err)
		}
		if names := k.names(); len(names) != 0 {
			t.Errorf("after %d accesses, and a good delete: %v", accesses, names)
		}
	}
}

// TestCanceledAtEveryStep ends the context at each access in turn.
func TestCanceledAtEveryStep(t *testing.T) {
	for name, do := range map[string]func(context.Context, *keyringstore.Store) error{
		"load": func(ctx context.Context, s *keyringstore.Store) error {
			got, err := s.Load(ctx, "slot")
			if err == nil && !bytes.Equal(got, record(8000, 1)) {
				return errors.New("another record")
			}
			return err
		},
		"save": func(ctx context.Context, s *keyringstore.Store) error { return s.Save(ctx, "slot", record(5000, 2)) },
		"delete": func(ctx context.Context, s *keyringstore.Store) error {
			return s.Delete(ctx, "slot")
		},
		"lock": func(ctx context.Context, s *keyringstore.Store) error {
			unlock, err := s.Lock(ctx, wire.SlotIdentity)
			if err == nil {
				unlock()
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			ended := false
			for accesses := 0; !ended; accesses++ {
				k := new(fake)
				s := open(t, k)
				save(t, s, "slot", record(8000, 1))
				ctx, cancel := context.WithCancel(t.Context())
				if accesses == 0 {
					cancel()
				}
				n := 0
				k.before = func(string) error {
					if n++; n == accesses {
						cancel()
					}
					return nil
				}
				err := do(ctx, s)
				ended = ctx.Err() == nil
				cancel()
				k.before = nil
				if err != nil {
					checkCode(t, err, keyringstore.CodeCanceled)
					if !errors.Is(err, context.Canceled) {
						t.Errorf("the cause is missing in %v", err)
					}
				}
				unlock, err := s.Lock(t.Context(), wire.SlotIdentity)
				if err != nil {
					t.Fatal(err)
				}
				unlock()
				if _, err := s.Load(t.Context(), "slot"); err != nil {
					t.Errorf("canceled after %d accesses: %v", accesses, err)
				}
			}
		})
	}
}

func TestDamagedRecords(t *testing.T) {
	for name, damage := range map[string]func(k *fake, item string){
		"a part is gone":        func(k *fake, item string) { delete(k.items, item+".a.2") },
		"a part is no base64":   func(k *fake, item string) { k.items[item+".a.2"] = "?" },
		"parts are exchanged":   func(k *fake, item string) { k.items[item+".a.1"] = k.items[item+".a.2"] },
		"the head is no JSON":   func(k *fake, item string) { k.items[item] = "?" },
		"the head is another's": func(k *fake, item string) { k.items[item] = `{"username":"a"}` },
		"a later version": func(k *fake, item string) {
			k.items[item] = strings.Replace(k.items[item], `"v":1`, `"v":2`, 1)
		},
		"an unknown generation": func(k *fake, item string) {
			k.items[item] = strings.Replace(k.items[item], `"generation":"a"`, `"generation":"c"`, 1)
		},
		"too many parts": func(k *fake, item string) {
			k.items[item] = strings.Replace(k.items[item], `"parts":`, `"parts":99999`, 1)
		},
		"fewer parts than none": func(k *fake, item string) {
			k.items[item] = strings.Replace(k.items[item], `"parts":`, `"parts":-`, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := new(fake)
			s := open(t, k)
			save(t, s, "slot", record(8000, 1))
			before := maps.Clone(k.items)
			damage(k, "agentassert:"+s.Item("slot"))
			if maps.Equal(before, k.items) {
				t.Fatal("nothing was damaged")
			}
			_, err := s.Load(t.Context(), "slot")
			checkCode(t, err, keyringstore.CodeDamaged)
			head := k.items["agentassert:"+s.Item("slot")]
			if err := s.Save(t.Context(), "slot", record(100, 2)); err != nil {
				checkCode(t, err, keyringstore.CodeDamaged)
				if k.items["agentassert:"+s.Item("slot")] != head {
					t.Error("a head that cannot be read was replaced")
				}
			}
			if err := s.Delete(t.Context(), "slot"); err != nil {
				t.Fatal(err)
			}
			save(t, s, "slot", record(100, 2))
			checkLoad(t, s, "slot", record(100, 2))
		})
	}
}

// TestLoadsAmongSaves loads while others save: each time one whole record.
func TestLoadsAmongSaves(t *testing.T) {
	k := new(fake)
	folder := t.TempDir()
	var wait sync.WaitGroup
	for worker := range 4 {
		// A store each, as in processes of their own.
		s, err := keyringstore.OpenOn(t.Context(), keyringstore.Config{Account: "account", LockFolder: folder}, k)
		if err != nil {
			t.Fatal(err)
		}
		wait.Go(func() {
			for i := range 20 {
				if worker%2 == 0 {
					if err := s.Save(t.Context(), "slot", bytes.Repeat([]byte{byte(i)}, 1000*(i%5)+1)); err != nil {
						t.Error(err)
					}
					continue
				}
				got, err := s.Load(t.Context(), "slot")
				if err != nil {
					t.Error(err)
				}
				if got != nil && !bytes.Equal(got, bytes.Repeat(got[:1], 1000*(int(got[0])%5)+1)) {
					t.Errorf("a record in pieces: %s", describe(got))
				}
			}
		})
	}
	wait.Wait()
}

func TestNoKeyring(t *testing.T) {
	t.Cleanup(system.MockInit)
	for _, cause := range []error{errBroken, system.ErrUnsupportedPlatform} {
		system.MockInitWithError(cause)
		s, err := keyringstore.Open(t.Context(), keyringstore.Config{Account: "account"})
		checkCode(t, err, keyringstore.CodeUnavailable)
		if s != nil || !errors.Is(err, cause) || !strings.Contains(err.Error(), "auth.json") {
			t.Errorf("got %v and %v", s, err)
		}
	}
}

func TestOpenCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := keyringstore.Open(ctx, keyringstore.Config{Account: "account"})
	checkCode(t, err, keyringstore.CodeCanceled)
}

func TestInvalidConfig(t *testing.T) {
	for _, c := range []keyringstore.Config{
		{}, {Account: "a b"}, {Account: "a:b"}, {Account: "a'b"}, {Account: "a\nb"}, {Account: "ü"}, {Account: "a\xff"},
		{Account: strings.Repeat("a", 129)}, {Account: "a", Service: "a/b"}, {Account: "a", Service: strings.Repeat("a", 129)},
		{Account: "a", LockTimeout: -1},
	} {
		_, err := keyringstore.Open(t.Context(), c)
		checkCode(t, err, core.CodeInvalidConfig)
	}
}

func TestNoConfigurationFolder(t *testing.T) {
	for _, name := range []string{"XDG_CONFIG_HOME", "HOME", "AppData"} {
		t.Setenv(name, "")
	}
	_, err := keyringstore.Open(t.Context(), keyringstore.Config{Account: "account"})
	checkCode(t, err, core.CodeInvalidConfig)
}

func TestCodesOfHost(t *testing.T) {
	if keyringstore.CodeCanceled != host.CodeCanceled {
		t.Errorf("got %q, want %q", keyringstore.CodeCanceled, host.CodeCanceled)
	}
}

func TestErrorsHoldNoRecord(t *testing.T) {
	k := new(fake)
	s := open(t, k)
	secret := bytes.Repeat([]byte("secret"), 1000)
	save(t, s, "slot", secret)
	k.before = func(access string) error {
		if access == "set" {
			return errBroken
		}
		return nil
	}
	saveErr := s.Save(t.Context(), "slot", secret)
	k.before = nil
	delete(k.items, "agentassert:"+s.Item("slot")+".a.1")
	_, loadErr := s.Load(t.Context(), "slot")
	for _, err := range []error{saveErr, loadErr} {
		if text := fmt.Sprintf("%v %+v %#v", err, err, err); err == nil || strings.Contains(text, "secret") {
			t.Errorf("got %s", text)
		}
	}
}

func TestSwap(t *testing.T) {
	s := open(t, new(fake))
	large, other := record(5000, 1), record(5000, 2)
	for _, step := range []struct {
		name     string
		old, new []byte
		code     string
	}{
		{"a record that is missing", []byte("missing"), []byte("x"), core.CodeRecordChanged},
		{"nothing by nothing", nil, []byte{}, ""},
		{"nothing", nil, []byte("first"), ""},
		{"nothing, where there is a record", []byte{}, []byte("x"), core.CodeRecordChanged},
		{"by one of several items", []byte("first"), large, ""},
		{"one that it was before", []byte("first"), nil, core.CodeRecordChanged},
		{"one of several items", large, other, ""},
		{"one of several items that it was before", large, nil, core.CodeRecordChanged},
		{"by one that is too large", other, make([]byte, maxRecord+1), keyringstore.CodeTooLarge},
		{"by nothing", other, nil, ""},
	} {
		t.Run(step.name, func(t *testing.T) {
			before, err := s.Load(t.Context(), wire.SlotIdentity)
			if err != nil {
				t.Fatal(err)
			}
			checkCode(t, s.Swap(t.Context(), wire.SlotIdentity, step.old, step.new), step.code)
			want := step.new
			if step.code != "" {
				want = before
			}
			if len(want) == 0 {
				want = nil
			}
			checkLoad(t, s, wire.SlotIdentity, want)
		})
	}
}

// TestSwapsExclude counts in a record, from several stores: no count is lost.
func TestSwapsExclude(t *testing.T) {
	k := new(fake)
	folder := t.TempDir()
	const stores, counts = 4, 25
	var wait sync.WaitGroup
	for range stores {
		s, err := keyringstore.OpenOn(t.Context(), keyringstore.Config{Account: "account", LockFolder: folder}, k)
		if err != nil {
			t.Fatal(err)
		}
		wait.Go(func() {
			for range counts {
				for code := core.CodeRecordChanged; code == core.CodeRecordChanged; {
					old, err := s.Load(t.Context(), "slot")
					if err == nil {
						err = s.Swap(t.Context(), "slot", old, append(old, 'x'))
					}
					if code = core.Code(err); err != nil && code != core.CodeRecordChanged {
						t.Error(err)
					}
				}
			}
		})
	}
	wait.Wait()
	checkLoad(t, open(t, k), "slot", bytes.Repeat([]byte("x"), stores*counts))
}
