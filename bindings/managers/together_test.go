package managers

import (
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// TestTurns: a process of each language, one after the other, twice, uses what the first has
// registered, and replaced.
func TestTurns(t *testing.T) {
	all := languages(t)
	for first, l := range all {
		for i, beside := range []bool{false, true, false, true} {
			p := profiles[i/2]
			t.Run(fmt.Sprintf("%s begins, %s, beside %t", l.name, p.name, beside), func(t *testing.T) {
				t.Parallel()
				b := newBackend(t, nil)
				path := b.authJSON(t, "account-1")
				before, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				o := b.options(p, path)
				o.Beside = beside
				var last Authorization
				for round := range 2 * len(all) {
					l := all[(first+round)%len(all)]
					d := l.start(t, o)
					a := d.authorization(core.SurfaceResponses, "thread-1")
					b.mustVerify(t, core.SurfaceResponses, a)
					if round > 0 && (a.AgentRuntimeID != last.AgentRuntimeID || a.TaskID != last.TaskID) {
						t.Errorf("%s uses %s, the one before it %s", l.name, Result{Authorization: &a}, Result{Authorization: &last})
					}
					if last = a; round == 0 {
						// The backend forgets the task. Whoever notices replaces it.
						b.ExpireTask(a.TaskID)
						r := d.recover(nil, `{"error":{"code":"task_expired"}}`)
						if r.Authorization == nil {
							t.Fatalf("%s: %s", l.name, r)
						}
						last = *r.Authorization
						b.mustVerify(t, core.SurfaceResponses, last)
					}
					d.done(request{Op: "close"})
				}
				if c := b.Accepted(); c.Identities != 1 || c.Tasks != 2 {
					t.Errorf("the backend accepted %+v", c)
				}
				if !beside {
					checkAuthJSON(t, path, before)
				} else if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
					t.Errorf("auth.json has changed: %v", err)
				}
			})
		}
	}
}

// TestTogether: two processes of each language at once, one of which is killed while it
// registers; the others wait for it, and register one identity, a background task, and a task
// for each conversation.
func TestTogether(t *testing.T) {
	all := languages(t)
	for _, victim := range all {
		t.Run(victim.name+" is killed", func(t *testing.T) {
			t.Parallel()
			var once sync.Once
			reached, killed := make(chan struct{}), make(chan struct{})
			goOn := sync.OnceFunc(func() { close(killed) })
			b := newBackend(t, func(_ http.ResponseWriter, r *http.Request) bool {
				first := false
				once.Do(func() { first = true })
				if first {
					close(reached)
					<-killed
				}
				return !first
			})
			t.Cleanup(goOn) // before the backend's, which waits for what it answers
			path := b.authJSON(t, "account-1")
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			o := b.options(profiles[0], path)
			v := victim.start(t, o)
			v.send(request{Op: "authorization", Surface: core.SurfaceApps})
			select {
			case <-reached: // it holds the lock
			case <-time.After(answerTimeout):
				t.Fatalf("%s does not register", victim.name)
			}
			var others []*driver
			for _, l := range all {
				others = append(others, l.start(t, o), l.start(t, o))
			}
			for _, d := range others {
				d.send(request{Op: "authorization", Surface: core.SurfaceApps, Callers: 4})
			}
			if err := v.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			goOn()
			agents, tasks := map[string]bool{}, map[string]bool{}
			for _, d := range others {
				for _, r := range d.results(d.answer()) {
					if r.Authorization == nil || !r.Authorization.asserts() {
						t.Fatalf("%s: %s", d.name, r)
					}
					agents[r.Authorization.AgentRuntimeID], tasks[r.Authorization.TaskID] = true, true
				}
			}
			for i, d := range others {
				d.send(request{Op: "authorization", Surface: core.SurfaceResponses, Thread: fmt.Sprintf("thread-%d", i%3)})
			}
			for _, d := range others {
				r := d.results(d.answer())[0]
				if r.Authorization == nil {
					t.Fatalf("%s: %s", d.name, r)
				}
				b.mustVerify(t, core.SurfaceResponses, *r.Authorization)
				agents[r.Authorization.AgentRuntimeID] = true
			}
			threads := min(3, len(others))
			if c := b.Accepted(); len(agents) != 1 || len(tasks) != 1 || c.Identities != 1 || c.Tasks != 1+threads {
				t.Errorf("%d agents, %d background tasks; the backend accepted %+v", len(agents), len(tasks), c)
			}
			checkAuthJSON(t, path, before)
		})
	}
}

// TestInstancesApart: runtime agent instances end with their process, and no two share one.
func TestInstancesApart(t *testing.T) {
	b := newBackend(t, nil)
	p := profiles[3]
	if p.profile != wire.ProfileInstances {
		t.Fatal(p.name)
	}
	o := b.options(p, b.authJSON(t, "account-1"))
	seen := map[string]string{}
	for _, l := range languages(t) {
		d := l.start(t, o)
		a, again := d.authorization(core.SurfaceApps, ""), d.authorization(core.SurfaceApps, "")
		b.mustVerify(t, core.SurfaceApps, a)
		b.mustVerify(t, core.SurfaceApps, again)
		if a.AgentAssertion == again.AgentAssertion || a.RuntimeAgentInstance != again.RuntimeAgentInstance {
			t.Errorf("%s: two requests carry one assertion, or are of two instances", l.name)
		}
		if other, ok := seen[a.RuntimeAgentInstance]; ok {
			t.Errorf("%s and %s share an instance", l.name, other)
		}
		seen[a.RuntimeAgentInstance] = l.name
	}
}
