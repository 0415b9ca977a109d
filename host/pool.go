package host

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/hidden"
)

// The defaults of a [PoolConfig].
const (
	DefaultPoolIdle = 10 * time.Minute
	DefaultPoolMost = 10_000
)

// PoolConfig says how a [Pool] makes managers, and how long it keeps them.
type PoolConfig struct {
	// Config returns the configuration of an account's manager, when there is none yet
	// or no longer. The engine and the HTTP client are best the same for all: they are
	// then shared, and the pool closes neither. It is called for several accounts at the
	// same time, never for one; the context is that of the call of [Pool.Manager] that
	// it is for. Required.
	Config func(ctx context.Context, account string) (ManagerConfig, error)
	// Idle is how long a manager is kept that nobody uses. The default is
	// DefaultPoolIdle.
	Idle time.Duration
	// Most is how many managers are kept. Beyond that, those go that are not in use, the
	// least recently used first; where all are in use there are more. The default is
	// DefaultPoolMost.
	Most int
	// Now is the clock that Idle goes by. The default is time.Now.
	Now func() time.Time
}

// Pool has a manager for each of many accounts: made when it is first asked for, shared
// by all who ask, and closed when it was not used for a while. It has no goroutine: what
// was idle for too long is closed when the pool is next used. It is safe for concurrent
// use.
type Pool struct {
	config PoolConfig

	mu     sync.Mutex
	closed bool
	// accounts has all managers, and those that are being made.
	accounts map[string]*pooled
	// idle has those that nobody uses, the least recently used first.
	idle list.List
}

// pooled is an account's manager.
type pooled struct {
	account string
	// made is closed once there is the manager, or err says why not. Afterwards neither
	// changes.
	made    chan struct{}
	manager *Manager
	err     error
	// users is how many have it, or wait for it. With none it is in the list of those
	// that are idle, since that time.
	users int
	since time.Time
	place *list.Element
}

// Format implements fmt.Formatter, as the managers' does.
func (p *Pool) Format(f fmt.State, _ rune) { hidden.Format(f, p) }

// NewPool returns a pool without a manager. The error's code is
// CodeInvalidManagerConfig.
func NewPool(c PoolConfig) (*Pool, error) {
	if c.Config == nil {
		return nil, fail(CodeInvalidManagerConfig, "the pool's configuration lacks Config, which says how an account's manager is made", nil)
	}
	if c.Idle < 0 || c.Most < 0 {
		return nil, fail(CodeInvalidManagerConfig, "the pool's Idle and Most cannot be negative; zero is the default", nil)
	}
	if c.Idle == 0 {
		c.Idle = DefaultPoolIdle
	}
	if c.Most == 0 {
		c.Most = DefaultPoolMost
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Pool{config: c, accounts: make(map[string]*pooled)}, nil
}

// Manager returns the manager of an account, which is not closed before release has
// been called: do that when the call is over that the manager is for, a recovery
// included. To release twice does nothing.
//
// An account whose configuration cannot be had, or is no good, is the error of those who
// have asked for it meanwhile, and the next one tries again.
//
// Errors: CodeClosed, CodeCanceled, those of PoolConfig.Config as they are, and those of
// NewManager.
func (p *Pool) Manager(ctx context.Context, account string) (m *Manager, release func(), err error) {
	for {
		e, isNew, err := p.take(account)
		if err != nil {
			return nil, nil, err
		}
		if isNew {
			p.make(ctx, e)
		}
		select {
		case <-e.made:
		case <-ctx.Done():
			p.release(e)
			return nil, nil, fail(CodeCanceled, "the caller stopped waiting for an account's manager", ctx.Err())
		}
		if e.err == nil {
			return e.manager, sync.OnceFunc(func() { p.release(e) }), nil
		}
		p.release(e)
		// Whoever has waited for one that gave up makes it.
		if isNew || ctx.Err() != nil || !errors.Is(e.err, errGaveUp) {
			return nil, nil, e.err
		}
	}
}

// errGaveUp is behind the error of a manager that was not made because nobody waited for
// it any more.
var errGaveUp = errors.New("whoever it was for gave up")

// take counts a user in, of what is there or is then to be made.
func (p *Pool) take(account string) (e *pooled, isNew bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, false, fail(CodeClosed, "the pool is closed", nil)
	}
	if e = p.accounts[account]; e == nil {
		e, isNew = &pooled{account: account, made: make(chan struct{})}, true
		p.accounts[account] = e
	}
	e.users++
	if e.place != nil {
		p.idle.Remove(e.place)
		e.place = nil
	}
	return e, isNew, nil
}

// make makes a manager, on its caller's account.
func (p *Pool) make(ctx context.Context, e *pooled) {
	m, err := p.newManager(ctx, e.account)
	if err != nil && ctx.Err() != nil {
		err = fail(CodeCanceled, "the caller stopped waiting for an account's manager", errors.Join(err, errGaveUp))
	}
	p.mu.Lock()
	if err == nil && p.closed {
		err = fail(CodeClosed, "the pool is closed", nil)
	}
	if e.err = err; err != nil {
		delete(p.accounts, e.account)
	} else {
		e.manager = m
	}
	p.mu.Unlock()
	if err != nil && m != nil {
		closeIdle(m)
	}
	close(e.made)
}

func (p *Pool) newManager(ctx context.Context, account string) (m *Manager, err error) {
	defer func() {
		// Config is a function of the caller's, which can panic.
		if p := recover(); p != nil {
			m, err = nil, fail(core.CodeInternal, fmt.Sprintf("a panic ended the configuration of an account (%T)", p), nil)
		}
	}()
	c, err := p.config.Config(ctx, account)
	if err != nil {
		return nil, err
	}
	return NewManager(c)
}

// release counts a user out, and closes what is no longer to be kept.
func (p *Pool) release(e *pooled) {
	now := p.config.Now()
	p.mu.Lock()
	e.users--
	if e.users == 0 && e.manager != nil && !p.closed {
		e.since = now
		e.place = p.idle.PushBack(e)
	}
	gone := p.sweep(now)
	p.mu.Unlock()
	for _, m := range gone {
		closeIdle(m)
	}
}

// closeIdle closes a manager that has nothing under way, and that nobody has.
func closeIdle(m *Manager) { _ = m.Close(context.Background()) }

// sweep takes out what nobody has used for too long, and what there is too much of. A
// registration that has begun is brought to its end, though nobody waits for it.
func (p *Pool) sweep(now time.Time) (gone []*Manager) {
	var next *list.Element
	for place := p.idle.Front(); place != nil; place = next {
		next = place.Next()
		e := place.Value.(*pooled)
		if len(p.accounts) <= p.config.Most && now.Sub(e.since) < p.config.Idle {
			break
		}
		if e.manager.underway.any() {
			continue
		}
		p.idle.Remove(place)
		delete(p.accounts, e.account)
		gone = append(gone, e.manager)
	}
	return gone
}

// Len returns how many managers there are, those that are being made among them.
func (p *Pool) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.accounts)
}

// Close closes all managers, those in use among them, and gives out no more. It waits
// for what is under way until the context ends. Close can be called again, to wait for
// the rest.
//
// The error's code is CodeNotClosed, with that of a manager that has not come to its end,
// or of the context, in the chain.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.idle.Init()
	all := make([]*pooled, 0, len(p.accounts))
	for _, e := range p.accounts {
		all = append(all, e)
		if e.manager != nil {
			e.manager.cancel() // all at once
		}
	}
	p.mu.Unlock()
	for _, e := range all {
		select {
		case <-e.made:
		case <-ctx.Done():
			return fail(CodeNotClosed, "the configuration of an account is still awaited", ctx.Err())
		}
		if e.manager == nil {
			continue
		}
		if err := e.manager.Close(ctx); err != nil {
			return err
		}
		p.mu.Lock()
		delete(p.accounts, e.account)
		p.mu.Unlock()
	}
	return nil
}
