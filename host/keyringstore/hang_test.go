package keyringstore_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/keyringstore"
)

// TestKeyringThatHangs: its callers go on, and what hangs is bounded.
func TestKeyringThatHangs(t *testing.T) {
	k := new(fake)
	s := open(t, k)
	var under atomic.Int32
	goOn := make(chan struct{})
	k.hang = func(string) { under.Add(1); <-goOn }
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, err := s.Load(ctx, wire.SlotIdentity)
		checkCode(t, err, keyringstore.CodeCanceled)
		checkCode(t, s.Probe(ctx, wire.SlotIdentity), keyringstore.CodeCanceled)
		cancel()
	}
	if n := under.Load(); n > 4 {
		t.Errorf("%d accesses hang, want 4 at most", n)
	}
	close(goOn) // nothing is left behind, as TestMain sees
	checkLoad(t, s, wire.SlotIdentity, nil)
}

// TestCallersWithoutTimeOut: what they do not bound is bounded for them.
func TestCallersWithoutTimeOut(t *testing.T) {
	const timeout = 10 * time.Millisecond
	goOn := make(chan struct{})
	defer close(goOn)
	hang := func(string) { <-goOn }
	_, err := keyringstore.OpenOn(t.Context(), keyringstore.Config{Account: "account", Timeout: timeout}, &fake{hang: hang})
	checkCode(t, err, keyringstore.CodeUnavailable)
	for name, do := range map[string]func(*keyringstore.Store) error{
		"load":   func(s *keyringstore.Store) error { _, err := s.Load(t.Context(), "slot"); return err },
		"save":   func(s *keyringstore.Store) error { return s.Save(t.Context(), "slot", record(100, 1)) },
		"swap":   func(s *keyringstore.Store) error { return s.Swap(t.Context(), "slot", nil, record(100, 1)) },
		"probe":  func(s *keyringstore.Store) error { return s.Probe(t.Context(), "slot") },
		"delete": func(s *keyringstore.Store) error { return s.Delete(t.Context(), "slot") },
	} {
		t.Run(name, func(t *testing.T) {
			k := new(fake)
			config := keyringstore.Config{Account: "account", LockFolder: t.TempDir(), Timeout: timeout}
			s, err := keyringstore.OpenOn(t.Context(), config, k)
			for core.Code(err) == keyringstore.CodeUnavailable { // on a computer that is busy
				k = new(fake)
				s, err = keyringstore.OpenOn(t.Context(), config, k)
			}
			if err != nil {
				t.Fatal(err)
			}
			k.hang = hang
			checkCode(t, do(s), keyringstore.CodeUnavailable)
		})
	}
	c, err := keyringstore.NewClientCredentialsOn(t.TempDir(), timeout, &fake{hang: hang})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // those behind the one that hangs, too
		_, err = c.Credentials(t.Context())
		checkCode(t, err, keyringstore.CodeUnavailable)
	}
}

// TestWriteThatHangs: until it has ended, nobody else writes; it could take the place of
// what they have written.
func TestWriteThatHangs(t *testing.T) {
	k := new(fake)
	config := keyringstore.Config{Account: "account", LockFolder: t.TempDir()}
	s, err := keyringstore.OpenOn(t.Context(), config, k)
	if err != nil {
		t.Fatal(err)
	}
	config.LockTimeout = 20 * time.Millisecond
	impatient, err := keyringstore.OpenOn(t.Context(), config, k)
	if err != nil {
		t.Fatal(err)
	}
	begun, goOn := make(chan struct{}), make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	k.hang = func(access string) {
		if access == "set" {
			begin()
			<-goOn
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	saved := make(chan error)
	go func() { saved <- s.Save(ctx, "slot", record(100, 1)) }()
	<-begun
	cancel()
	checkCode(t, <-saved, keyringstore.CodeCanceled)
	checkCode(t, impatient.Swap(t.Context(), "slot", nil, record(100, 2)), keyringstore.CodeLocked)
	checkLoad(t, impatient, "slot", nil) // who reads is not kept
	go close(goOn)
	save(t, s, "slot", record(100, 3))
	checkLoad(t, s, "slot", record(100, 3))
}

// TestLibraryThatPanics: it does so in a goroutine of its own, where nobody could
// recover but this package.
func TestLibraryThatPanics(t *testing.T) {
	k := new(fake)
	s := open(t, k)
	k.before = func(access string) error { panic("secret") }
	_, err := s.Load(t.Context(), "slot")
	checkCode(t, err, keyringstore.CodeUnavailable)
	checkCode(t, s.Probe(t.Context(), "slot"), keyringstore.CodeWriteFailed)
	k.before = nil
	checkLoad(t, s, "slot", nil)
}
