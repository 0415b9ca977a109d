//go:build interop && unix

package interop

import (
	"cmp"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/agentassert/agentassert/authority"
)

// features are the client's settings with its own feature on, and off.
var features = []struct{ name, settings string }{
	{"on", featureOn},
	{"off", featureOff},
}

// TestRegisteredByUs: after our tool has registered, the user of each release is
// as signed in as before, and the client makes use of our identity if it wants one.
func TestRegisteredByUs(t *testing.T) {
	for _, r := range releases {
		for _, feature := range features {
			for _, p := range profiles {
				t.Run(r.version+"/"+feature.name+"/"+p.name, func(t *testing.T) {
					r.need(t)
					t.Parallel()
					b := newBackend(t)
					h := b.newHome(t, r, feature.settings)
					x := h.mustHeader(t, p)
					checkAccepted(t, b.since(0))
					if got, want := b.Counts(), (authority.Counts{Identities: 1, Tasks: 1}); got != want {
						t.Fatalf("our tool registered %+v, want %+v", got, want)
					}
					a, before := h.identity(t, b).Identity, h.read(t)
					checkHeader(t, b, x, a)
					if feature.settings == featureOn {
						checkUsableByClient(t, b, h, a)
					} else {
						checkUsableByBearer(t, b, h)
					}
					checkKept(t, before, h.read(t))
					b.checkForeign(t)
				})
			}
		}
	}
}

// TestRegisteredByClient: our tool makes use of an identity that the client has
// registered, and of its task, and registers nothing.
func TestRegisteredByClient(t *testing.T) {
	for _, r := range releases {
		t.Run(r.version, func(t *testing.T) {
			r.need(t)
			t.Parallel()
			b := newBackend(t)
			h := b.newHome(t, r, featureOn)
			h.mustPrompt(t)
			checkAccepted(t, b.since(0))
			if n := b.Counts().Identities; n != 1 {
				t.Fatalf("the client registered %d identities", n)
			}
			a, document := h.identity(t, b).Identity, h.read(t)
			r.checkTurn(t, b.since(0), a)
			for _, p := range profiles {
				t.Run(p.name, func(t *testing.T) {
					h := b.newHomeWith(t, r, document, featureOn)
					checkUsable(t, b, h, p)
				})
			}
			b.checkForeign(t)
		})
	}
}

// hand is what a user does with an auth.json that others have used before: they
// use our tool, or have a turn with a release of the client.
type hand struct {
	profile
	*release // in place of our tool
	// refresh makes the client refresh the user's tokens, in place of a turn. It
	// then saves the file, and keeps of it what it knows.
	refresh bool
}

// TestHandedRound: an auth.json that the newest release has left is used by us, by
// that release again, and by the one of the default profile: whole, and signed
// in, at every step.
func TestHandedRound(t *testing.T) {
	for _, feature := range features {
		for _, p := range profiles {
			t.Run(feature.name+"/"+p.name, func(t *testing.T) {
				newest.need(t)
				background.need(t)
				t.Parallel()
				b := newBackend(t)
				h := b.newHome(t, newest, featureOn)
				h.mustPrompt(t)
				a := h.identity(t, b).Identity
				document := h.read(t)
				ours := hand{profile: p}
				for i, step := range []hand{
					ours, {release: newest}, {release: background},
					ours, {release: newest, refresh: true},
					ours, {release: background}, {release: newest},
				} {
					t.Logf("step %d", i+1)
					document = step.use(t, b, document, feature.settings, a)
				}
				b.checkForeign(t)
			})
		}
	}
}

// use uses an auth.json, and returns what is left of it. It fails the test unless
// it is that identity which has been used, and is still there.
func (s hand) use(t *testing.T, b *backend, document []byte, settings string, a identityRecord) []byte {
	t.Helper()
	h := b.newHomeWith(t, cmp.Or(s.release, newest), document, settings)
	switch mark := b.mark(); {
	case s.release == nil:
		checkHeader(t, b, h.mustHeader(t, s.profile), a)
		checkNoRegistration(t, b.since(mark))
		// Whoever comes next has to find it in order.
		h.checkSignedIn(t)
	case s.refresh:
		if err := refreshOnce(t.Context(), b, h.startAppServer(t), new(atomic.Bool)); err != nil {
			t.Fatal(err)
		}
		h.checkSignedIn(t)
	case settings == featureOn:
		checkUsableByClient(t, b, h, a)
	default:
		checkUsableByBearer(t, b, h)
	}
	if got := h.identity(t, b).Identity; !got.same(a) {
		t.Error("auth.json has another identity, or another task")
	}
	after := h.read(t)
	if !s.refresh {
		checkKept(t, document, after)
	}
	return after
}

// TestCapturedFile: the auth.json that 0.171.0 left in testvectors/captures, which
// our tool signs with, and in which all releases find a user who is signed in.
func TestCapturedFile(t *testing.T) {
	captured, err := os.ReadFile(filepath.Join("..", "testvectors", "captures", "codex-0.171-enabled.auth.json"))
	if err != nil {
		t.Fatal(err)
	}
	left, err := parseAuthJSON(captured)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range profiles {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t)
			document := captured
			h := b.newHomeWith(t, newest, document, featureOn)
			x := h.mustHeader(t, p)
			if x.AgentRuntimeID != left.Identity.AgentRuntimeID || x.TaskID != left.Identity.task() {
				t.Errorf("our tool asserts %s on %s, auth.json has %s on %s",
					x.AgentRuntimeID, x.TaskID, left.Identity.AgentRuntimeID, left.Identity.task())
			}
			if log := b.since(0); len(log) != 0 {
				t.Errorf("our tool called the backend: %+v", log)
			}
			document = h.read(t)
			checkKept(t, captured, document)
			for _, r := range releases {
				t.Run(r.version, func(t *testing.T) {
					r.need(t)
					b.newHomeWith(t, r, document, featureOn).checkSignedIn(t)
				})
			}
		})
	}
}
