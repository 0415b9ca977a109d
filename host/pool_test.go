package host_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
)

// accounts is what a pool makes managers of: each signed in with an account of its own,
// and with a store of its own, all with one backend and one engine.
type accounts struct {
	*world
	mu     sync.Mutex
	stores map[string]host.Store
	// made counts the configurations that were asked for, of each account.
	made map[string]int
	// fail, if there is one, is the error of an account's configuration.
	fail func(ctx context.Context, account string) error
}

func newAccounts() *accounts {
	return &accounts{world: newWorld(), stores: map[string]host.Store{}, made: map[string]int{}}
}

func (a *accounts) config(ctx context.Context, account string) (host.ManagerConfig, error) {
	a.mu.Lock()
	a.made[account]++
	fail := a.fail
	a.mu.Unlock()
	if fail != nil {
		if err := fail(ctx, account); err != nil {
			return host.ManagerConfig{}, err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stores[account] == nil {
		a.stores[account] = &host.MemoryStore{}
	}
	session := a.authority.SignIn(account, "user-1")
	c := a.world.config()
	c.Store = a.stores[account]
	credentials := a.credentials()
	credentials.AccessToken, credentials.AccountID = session.AccessToken, account
	c.Credentials = fixed(credentials)
	return c, nil
}

func (a *accounts) count(account string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.made[account]
}

func newPool(t testing.TB, c host.PoolConfig) *host.Pool {
	t.Helper()
	p, err := host.NewPool(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Errorf("closing the pool: %v", err)
		}
	})
	return p
}

// useAccount asks for an account's authorization, and releases the manager.
func useAccount(t testing.TB, p *host.Pool, account string) (*host.Manager, host.Authorization) {
	t.Helper()
	m, release, err := p.Manager(context.Background(), account)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	a := ask(t, m)
	if a.AccountID != account {
		t.Errorf("account %s has an authorization of %s", account, a.AccountID)
	}
	checkAssertion(t, a)
	return m, a
}

func TestPoolSharesAManager(t *testing.T) {
	a := newAccounts()
	p := newPool(t, host.PoolConfig{Config: a.config, Now: a.clock.Now})
	first, one := useAccount(t, p, "acct-1")
	again, _ := useAccount(t, p, "acct-1")
	_, other := useAccount(t, p, "acct-2")
	if first != again || a.count("acct-1") != 1 {
		t.Errorf("one account has two managers, and was configured %d times", a.count("acct-1"))
	}
	if one.AgentRuntimeID == other.AgentRuntimeID {
		t.Error("two accounts have one agent")
	}
	if p.Len() != 2 {
		t.Errorf("there are %d managers, want 2", p.Len())
	}
}

// What nobody has used for a while is closed when the pool is next used; what is in use
// is not, and an account that comes back gets another manager with the same agent.
func TestPoolClosesWhatIsIdle(t *testing.T) {
	a := newAccounts()
	p := newPool(t, host.PoolConfig{Config: a.config, Idle: time.Minute, Now: a.clock.Now})
	idle, before := useAccount(t, p, "idle")
	held, release, err := p.Manager(context.Background(), "held")
	if err != nil {
		t.Fatal(err)
	}
	a.clock.advance(59 * time.Second)
	useAccount(t, p, "other")
	if _, err := idle.Authorization(context.Background(), core.SurfaceModels); err != nil {
		t.Errorf("closed before its time: %v", err)
	}
	a.clock.advance(time.Second)
	useAccount(t, p, "other")
	_, err = idle.Authorization(context.Background(), core.SurfaceModels)
	checkCode(t, err, host.CodeClosed)
	checkAssertion(t, ask(t, held))
	if p.Len() != 2 {
		t.Errorf("there are %d managers, want 2", p.Len())
	}
	release()
	release() // does nothing: another has it
	holder, releaseAgain, err := p.Manager(context.Background(), "held")
	if err != nil || holder != held {
		t.Fatalf("got another manager, or %v", err)
	}
	a.clock.advance(time.Hour)
	useAccount(t, p, "other")
	checkAssertion(t, ask(t, held))
	releaseAgain()

	again, after := useAccount(t, p, "idle")
	if again == idle || after.AgentRuntimeID != before.AgentRuntimeID {
		t.Errorf("came back as %s, was %s", after.AgentRuntimeID, before.AgentRuntimeID)
	}
}

func TestPoolKeepsAtMost(t *testing.T) {
	a := newAccounts()
	p := newPool(t, host.PoolConfig{Config: a.config, Most: 2, Now: a.clock.Now})
	var managers []*host.Manager
	var releases []func()
	for i := range 4 {
		m, release, err := p.Manager(context.Background(), fmt.Sprint("acct-", i))
		if err != nil {
			t.Fatal(err)
		}
		managers, releases = append(managers, m), append(releases, release)
	}
	if p.Len() != 4 {
		t.Errorf("there are %d managers in use, want 4", p.Len())
	}
	for i := range releases {
		checkAssertion(t, ask(t, managers[i]))
		releases[i]()
	}
	if p.Len() != 2 {
		t.Errorf("there are %d managers, want 2", p.Len())
	}
	for i, m := range managers {
		_, err := m.Authorization(context.Background(), core.SurfaceModels)
		if closed := core.Code(err) == host.CodeClosed; closed != (i < 2) {
			t.Errorf("the manager of account %d: %v", i, err)
		}
	}
}

// All who ask at once get the one manager that the first of them has made.
func TestPoolMakesOneAtOnce(t *testing.T) {
	a := newAccounts()
	const callers = 20
	arrived := make(chan struct{})
	a.fail = func(ctx context.Context, _ string) error {
		select {
		case <-arrived:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	p := newPool(t, host.PoolConfig{Config: a.config, Now: a.clock.Now})
	var wg sync.WaitGroup
	var got sync.Map
	var users atomic.Int32
	for range callers {
		wg.Go(func() {
			if users.Add(1) == callers {
				close(arrived)
			}
			m, release, err := p.Manager(context.Background(), "acct-1")
			if err != nil {
				t.Error(err)
				return
			}
			defer release()
			got.Store(m, true)
		})
	}
	wg.Wait()
	managers := 0
	got.Range(func(any, any) bool { managers++; return true })
	if managers != 1 || a.count("acct-1") != 1 {
		t.Errorf("got %d managers of %d configurations, want one", managers, a.count("acct-1"))
	}
}

// A configuration that cannot be had is an error, and is asked for again.
func TestPoolConfigFails(t *testing.T) {
	unknown := errors.New("no such account")
	for _, tt := range []struct {
		name string
		fail func(context.Context, string) error
		want func(error) bool
	}{
		{"an error", func(context.Context, string) error { return unknown }, func(err error) bool { return errors.Is(err, unknown) }},
		{"a panic", func(context.Context, string) error { panic("secret") }, func(err error) bool { return core.Code(err) == core.CodeInternal }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAccounts()
			a.fail = tt.fail
			p := newPool(t, host.PoolConfig{Config: a.config, Now: a.clock.Now})
			m, release, err := p.Manager(context.Background(), "acct-1")
			if m != nil || release != nil || !tt.want(err) {
				t.Fatalf("got %v, %v", m != nil, err)
			}
			checkHidden(t, []string{"secret"}, err)
			if p.Len() != 0 {
				t.Error("what could not be made is kept")
			}
			a.fail = nil
			useAccount(t, p, "acct-1")
		})
	}
	t.Run("no configuration of a manager", func(t *testing.T) {
		p := newPool(t, host.PoolConfig{Config: func(context.Context, string) (host.ManagerConfig, error) { return host.ManagerConfig{}, nil }})
		_, _, err := p.Manager(context.Background(), "acct-1")
		checkCode(t, err, host.CodeInvalidManagerConfig)
	})
}

// Whoever makes a manager can give up; whoever has waited for it makes it then.
func TestPoolMakerGivesUp(t *testing.T) {
	a := newAccounts()
	begun := make(chan struct{})
	a.fail = func(ctx context.Context, _ string) error {
		if a.count("acct-1") > 1 {
			return nil
		}
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}
	p := newPool(t, host.PoolConfig{Config: a.config, Now: a.clock.Now})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _, err := p.Manager(ctx, "acct-1")
		checkCode(t, err, host.CodeCanceled)
	})
	<-begun
	waited, cancelWaited := context.WithCancel(context.Background())
	cancelWaited()
	_, _, err := p.Manager(waited, "acct-1")
	checkCode(t, err, host.CodeCanceled)
	wg.Go(func() { useAccount(t, p, "acct-1") })
	for p.Users("acct-1") < 2 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	wg.Wait()
}

func TestPoolClose(t *testing.T) {
	a := newAccounts()
	p, err := host.NewPool(host.PoolConfig{Config: a.config, Now: a.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	idle, _ := useAccount(t, p, "idle")
	held, release, err := p.Manager(context.Background(), "held")
	if err != nil {
		t.Fatal(err)
	}
	making := make(chan struct{})
	a.fail = func(context.Context, string) error { close(making); return nil }
	go func() {
		_, _, err := p.Manager(context.Background(), "late")
		if err != nil {
			checkCode(t, err, host.CodeClosed)
		}
	}()
	<-making
	for range 2 {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	for _, m := range []*host.Manager{idle, held} {
		_, err := m.Authorization(context.Background(), core.SurfaceModels)
		checkCode(t, err, host.CodeClosed)
	}
	release()
	_, _, err = p.Manager(context.Background(), "idle")
	checkCode(t, err, host.CodeClosed)
}

// Close does not wait for longer than its context has it.
func TestPoolCloseIsImpatient(t *testing.T) {
	a := newAccounts()
	begun, end := make(chan struct{}), make(chan struct{})
	a.fail = func(context.Context, string) error { close(begun); <-end; return nil }
	p, err := host.NewPool(host.PoolConfig{Config: a.config, Now: a.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _, err := p.Manager(context.Background(), "acct-1")
		checkCode(t, err, host.CodeClosed)
	})
	<-begun
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	checkCode(t, p.Close(ctx), host.CodeNotClosed)
	close(end)
	wg.Wait()
}

func TestPoolConfig(t *testing.T) {
	config := func(context.Context, string) (host.ManagerConfig, error) { return host.ManagerConfig{}, nil }
	for name, c := range map[string]host.PoolConfig{
		"no Config": {}, "negative Idle": {Config: config, Idle: -1}, "negative Most": {Config: config, Most: -1},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := host.NewPool(c)
			checkCode(t, err, host.CodeInvalidManagerConfig)
		})
	}
}

// Whoever stops waiting for a registration does not have it broken off, and a manager
// that is idle meanwhile is not closed.
func TestPoolLeavesARegistrationAlone(t *testing.T) {
	a := newAccounts()
	p := newPool(t, host.PoolConfig{Config: a.config, Idle: time.Minute, Now: a.clock.Now})
	ctx, cancel := context.WithCancel(context.Background())
	begun, end := make(chan struct{}), make(chan struct{})
	a.network.follow(func(n int, _ *http.Request) (*http.Response, error) {
		if n == 0 {
			close(begun)
			<-end
		}
		return nil, nil
	})
	m, release, err := p.Manager(ctx, "slow")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := m.Authorization(ctx, core.SurfaceModels)
		checkCode(t, err, host.CodeCanceled)
	})
	<-begun
	cancel()
	wg.Wait()
	release()
	a.clock.advance(time.Hour)
	useAccount(t, p, "other")
	close(end)
	checkAssertion(t, ask(t, m))
	checkCounts(t, a.authority, 2, 2)
}
