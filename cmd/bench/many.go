package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// oneThread is a store in which every conversation has the same task: what is measured is what
// a manager keeps, and not what a store does.
type oneThread struct{ *host.MemoryStore }

func (s oneThread) Load(ctx context.Context, slot string) ([]byte, error) {
	if len(slot) > len(wire.SlotThread) && slot[:len(wire.SlotThread)] == wire.SlotThread {
		return []byte(thread), nil
	}
	return s.MemoryStore.Load(ctx, slot)
}

// threads measures what a manager keeps of conversations that have made a call.
func (b *bench) threads(ctx context.Context) ([]row, error) {
	store, err := b.memory(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	m, err := host.NewManager(host.ManagerConfig{
		Engine: host.NewNative(), Store: oneThread{store}, BaseURL: "https://chatgpt.com", AgentIdentity: true, ABOM: abom,
		Credentials: signedIn, Now: func() time.Time { return now },
	})
	if err != nil {
		return nil, err
	}
	defer m.Close(ctx)
	if err := checked(m.Authorization(ctx, core.SurfaceModels)); err != nil {
		return nil, err
	}
	const number, most = 100_000, 500.
	bytes, err := kept(func() (any, error) {
		for i := range number {
			if err := checked(m.Thread("conversation-"+strconv.Itoa(i)).Authorization(ctx, core.SurfaceResponses)); err != nil {
				return m, err
			}
		}
		return m, nil
	})
	if err != nil {
		return nil, err
	}
	each := bytes / number
	return []row{{
		what:     fmt.Sprintf("%d threads that have made a call, in the manager", number),
		budget:   fmt.Sprintf("≤ %.0f B each", most),
		measured: fmt.Sprintf("%.0f B each", each),
		missed:   each > most,
	}}, nil
}

// accounts measures what a pool keeps of accounts that have made a call, without what their
// stores do.
func (b *bench) accounts(ctx context.Context) ([]row, error) {
	const number, most = 1000, 4096.
	stores := make(map[string]*host.MemoryStore, number)
	names := make([]string, number)
	for i := range names {
		names[i] = "account-" + strconv.Itoa(i)
		store, err := b.memory(ctx)
		if err != nil {
			return nil, err
		}
		stores[names[i]] = store
	}
	engine := host.NewNative()
	var pool *host.Pool
	bytes, err := kept(func() (any, error) {
		var err error
		pool, err = host.NewPool(host.PoolConfig{Config: func(_ context.Context, account string) (host.ManagerConfig, error) {
			return host.ManagerConfig{
				Engine: engine, Store: stores[account], BaseURL: "https://chatgpt.com", AgentIdentity: true, ABOM: abom, Credentials: signedIn,
			}, nil
		}})
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			m, release, err := pool.Manager(ctx, name)
			if err != nil {
				return nil, err
			}
			err = checked(m.Authorization(ctx, core.SurfaceModels))
			release()
			if err != nil {
				return nil, err
			}
		}
		return pool, nil
	})
	if err != nil {
		return nil, err
	}
	defer pool.Close(ctx)
	each := bytes / number
	return []row{{
		what:     fmt.Sprintf("%d accounts that have made a call, in a Pool", number),
		budget:   fmt.Sprintf("≤ %.0f B each", most),
		measured: fmt.Sprintf("%.0f B each", each),
		missed:   each > most,
	}}, nil
}
