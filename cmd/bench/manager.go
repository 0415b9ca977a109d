package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
)

var abom = host.ABOM{AgentVersion: "1", AgentHarnessID: "bench", RunningLocation: "bench"}

// signedIn is a source of credentials that do not change.
var signedIn = host.CredentialFunc(func(context.Context) (host.Credentials, error) {
	return host.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: "t", AccountID: "a", UserID: "u"}, nil
})

// record is an identity with a task, as it is stored.
func record(key string) []byte {
	return fmt.Appendf(nil, `{"agent_runtime_id":"agent-1","agent_private_key":%q,"base_url":"https://chatgpt.com/backend-api",`+
		`"account_id":"a","chatgpt_user_id":"u","plan_type":"pro","chatgpt_account_is_fedramp":false,"workspace_id":"a",`+
		`"registered_at":"2026-11-24T15:16:08Z","task_id":"task-1","background_task_id":"task-1"}`, key)
}

// thread is the task of a conversation, as it is stored.
const thread = `{"agent_runtime_id":"agent-1","task_id":"task-2","registered_at":"2026-11-24T15:16:08Z"}`

// memory is a store with an identity and its task, and tasks of conversations.
func (b *bench) memory(ctx context.Context, threads ...string) (*host.MemoryStore, error) {
	s := new(host.MemoryStore)
	if err := s.Save(ctx, wire.SlotIdentity, record(b.key)); err != nil {
		return nil, err
	}
	for _, id := range threads {
		if err := s.Save(ctx, wire.SlotThread+id, []byte(thread)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// checked returns an error unless the authorization has an assertion.
func checked(a host.Authorization, err error) error {
	if err == nil && a.Mode != core.ModeAgentAssertion {
		return fmt.Errorf("%s: %w", a.Reason, a.Cause)
	}
	return err
}

// warm measures an answer that is kept for its second.
func (b *bench) warm(ctx context.Context) ([]row, error) {
	store, err := b.memory(ctx, "thread")
	if err != nil {
		return nil, err
	}
	now := time.Now()
	m, err := host.NewManager(host.ManagerConfig{
		Engine: host.NewNative(), Store: store, BaseURL: "https://chatgpt.com", AgentIdentity: true, ABOM: abom,
		Credentials: signedIn,
		// A clock that stands still.
		Now: func() time.Time { return now },
	})
	if err != nil {
		return nil, err
	}
	defer m.Close(ctx)
	var rows []row
	for _, c := range []struct {
		what string
		// most is the budget, in assertions.
		most float64
		ask  func() error
	}{
		{"Manager.Authorization, warm", 1. / 200, func() error { return checked(m.Authorization(ctx, core.SurfaceModels)) }},
		{"Manager.Thread(id) for each request, and its Authorization, warm", 1. / 40, func() error {
			return checked(m.Thread("thread").Authorization(ctx, core.SurfaceResponses))
		}},
	} {
		if err := c.ask(); err != nil {
			return nil, err
		}
		const batch = 10_000
		took, err := median(51, func() error {
			for range batch {
				if err := c.ask(); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		share := us(took) / batch / b.assertion
		allocations := testing.AllocsPerRun(1000, func() { _ = c.ask() })
		rows = append(rows, row{
			what:     c.what,
			budget:   fmt.Sprintf("≤ 1/%.0f of a native assertion, 0 allocations", 1/c.most),
			measured: fmt.Sprintf("%s, 1/%.0f, %.0f allocations", round(took/batch), 1/share, allocations),
			peer:     "one native assertion: " + rounded(b.assertion),
			missed:   share > c.most || allocations > 0,
		})
	}
	return rows, nil
}

// newSeconds measures a header for which nothing has changed but the time: what a
// program pays once a second.
func (b *bench) newSeconds(ctx context.Context) ([]row, error) {
	path := filepath.Join(b.folder, "auth.json")
	document := fmt.Appendf(nil, `{"tokens":{"access_token":"t","account_id":"a","id_token":""},"agent_identity":%s}`, record(b.key))
	if err := os.WriteFile(path, document, 0o600); err != nil {
		return nil, err
	}
	file := authfile.New(path)
	if err := file.Save(ctx, wire.SlotThread+"thread", []byte(thread)); err != nil {
		return nil, err
	}
	// Until it is as it is most of the time: nobody has just written it.
	time.Sleep(4 * time.Second)
	memory, err := b.memory(ctx, "thread")
	if err != nil {
		return nil, err
	}
	now := time.Now()
	var rows []row
	for _, m := range []struct {
		what        string
		engine      host.Engine
		store       host.Store
		credentials host.CredentialSource
		surface     string
	}{
		{"native, from memory", host.NewNative(), memory, signedIn, core.SurfaceModels},
		{"native, from auth.json", host.NewNative(), file, file, core.SurfaceModels},
		{"native, from auth.json, a thread's", host.NewNative(), file, file, core.SurfaceResponses},
		{"in wazero, from memory", b.sandbox, memory, signedIn, core.SurfaceModels},
		{"in wazero, from auth.json", b.sandbox, file, file, core.SurfaceModels},
		{"in wazero, from auth.json, a thread's", b.sandbox, file, file, core.SurfaceResponses},
	} {
		manager, err := host.NewManager(host.ManagerConfig{
			Engine: m.engine, Store: m.store, Credentials: m.credentials, BaseURL: "https://chatgpt.com", AgentIdentity: true, ABOM: abom,
			Now: func() time.Time { return now },
		})
		if err != nil {
			return nil, err
		}
		ask := func() error {
			now = now.Add(time.Second)
			if m.surface == core.SurfaceResponses {
				return checked(manager.Thread("thread").Authorization(ctx, m.surface))
			}
			return checked(manager.Authorization(ctx, m.surface))
		}
		sign := b.signer(ctx, m.engine)
		times, err := inTurns(ask, sign)
		if err != nil {
			return nil, err
		}
		bytes, _, err := allocated(2000, ask)
		if err != nil {
			return nil, err
		}
		bare, _, err := allocated(2000, sign)
		if err != nil {
			return nil, err
		}
		manager.Close(ctx)
		const mostTime, mostBytes = 1.5, 4096
		ratio := times[0] / times[1]
		rows = append(rows, row{
			what:     "a header in a new second, " + m.what,
			budget:   fmt.Sprintf("≤ %.1f × the assertion, ≤ %d B allocated", mostTime, mostBytes),
			measured: fmt.Sprintf("%s, %.2f × the assertion, %.0f B", rounded(times[0]), ratio, bytes),
			peer:     fmt.Sprintf("one assertion, same engine: %s, %.0f B", rounded(times[1]), bare),
			missed:   ratio > mostTime || bytes > mostBytes,
		})
	}
	return rows, nil
}
