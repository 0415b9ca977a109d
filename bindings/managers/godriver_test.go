package managers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
)

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		os.Exit(goDriver())
	}
	os.Exit(m.Run())
}

// goDriver is Go's driver.
func goDriver() int {
	d := &manager{}
	lines, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return 2
		}
		ok, err := d.answer(r)
		a := map[string]any{"ok": ok}
		if err != nil {
			a = map[string]any{"error": problem(err)}
		}
		if err := out.Encode(a); err != nil {
			return 3
		}
	}
	return 0
}

type manager struct {
	*host.Manager
	last host.Authorization
}

func (m *manager) answer(r request) (any, error) {
	switch r.Op {
	case "open":
		return struct{}{}, m.open(*r.Options)
	case "authorization":
		return m.authorization(r), nil
	case "recover":
		response := &http.Response{StatusCode: http.StatusUnauthorized, Header: http.Header{}, Body: http.NoBody}
		for name, value := range r.Headers {
			response.Header.Set(name, value)
		}
		response.Body = readCloser{strings.NewReader(r.Body)}
		a, err := m.Recover(context.Background(), m.last, response)
		return []Result{result(a, err)}, nil
	case "forget":
		return struct{}{}, m.Forget(context.Background(), r.Thread)
	case "close":
		return struct{}{}, m.Close(context.Background())
	}
	return nil, &core.Error{Code: core.CodeInvalidRequest, Message: "no such op: " + r.Op}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func (m *manager) open(o Options) (err error) {
	c := host.ManagerConfig{
		Engine: host.NewNative(), BaseURL: o.BaseURL, AuthAPIURL: o.AuthAPIURL, Profile: o.Profile,
		AllSurfaces: o.AllSurfaces, AgentIdentity: o.AgentIdentity, WorkspaceRouting: o.WorkspaceRouting,
		TrustedHosts: o.TrustedHosts, ForcedWorkspaceIDs: o.ForcedWorkspaceIDs,
	}
	if i := o.Instance; i != nil {
		c.Instance = &host.InstanceConfig{HeaderMode: i.HeaderMode, InstallationID: i.InstallationID, Harness: i.Harness, Role: i.Role}
	}
	if o.AuthJSON != "" {
		file := authfile.New(o.AuthJSON)
		file.Beside = o.Beside
		c.Store, c.Credentials = file, file
	} else {
		c.Store = memoryStore{readOnly: o.ReadOnly, broken: o.Broken, MemoryStore: new(host.MemoryStore)}
		c.Credentials = host.CredentialFunc(func(context.Context) (host.Credentials, error) {
			k := o.Credentials
			return host.Credentials{Kind: k.Kind, AccessToken: k.AccessToken, AccountID: k.AccountID}, nil
		})
	}
	m.Manager, err = host.NewManager(c)
	return err
}

// memoryStore is one that fails as Options says.
type memoryStore struct {
	*host.MemoryStore
	readOnly, broken bool
}

func (s memoryStore) fails(writes bool) error {
	switch {
	case s.broken:
		return errors.New("the store of this test is broken")
	case s.readOnly && writes:
		return &core.Error{Code: core.CodeStoreReadOnly, Message: "the store of this test is read-only"}
	}
	return nil
}

func (s memoryStore) Load(ctx context.Context, slot string) ([]byte, error) {
	if err := s.fails(false); err != nil {
		return nil, err
	}
	return s.MemoryStore.Load(ctx, slot)
}

func (s memoryStore) Save(ctx context.Context, slot string, record []byte) error {
	if err := s.fails(true); err != nil {
		return err
	}
	return s.MemoryStore.Save(ctx, slot, record)
}

func (s memoryStore) Delete(ctx context.Context, slot string) error {
	if err := s.fails(true); err != nil {
		return err
	}
	return s.MemoryStore.Delete(ctx, slot)
}

func (s memoryStore) Swap(ctx context.Context, slot string, old, new []byte) error {
	if err := s.fails(true); err != nil {
		return err
	}
	return s.MemoryStore.Swap(ctx, slot, old, new)
}

func (s memoryStore) Lock(ctx context.Context, slot string) (func(), error) {
	if err := s.fails(true); err != nil {
		return nil, err
	}
	return s.MemoryStore.Lock(ctx, slot)
}

func (s memoryStore) Probe(context.Context, string) error { return s.fails(true) }

func (m *manager) authorization(r request) []Result {
	ctx := context.Background()
	if r.TimeoutMS > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(r.TimeoutMS)*time.Millisecond)
		defer cancel()
	}
	ask := m.Authorization
	if r.Thread != "" {
		ask = m.Thread(r.Thread).Authorization
	}
	results := make([]Result, max(1, r.Callers))
	var callers sync.WaitGroup
	for i := range results {
		callers.Go(func() {
			a, err := ask(ctx, r.Surface)
			results[i] = result(a, err)
			if i == 0 && err == nil {
				m.last = a
			}
		})
	}
	callers.Wait()
	return results
}

func result(a host.Authorization, err error) Result {
	if err != nil {
		return Result{Error: problem(err)}
	}
	out := &Authorization{
		Mode: a.Mode, Reason: a.Reason, Header: a.Header(), AgentAssertion: a.AgentAssertion(), AccountID: a.AccountID,
		AgentRuntimeID: a.AgentRuntimeID, TaskID: a.TaskID, RuntimeAgentInstance: a.RuntimeAgentInstance, FedRAMP: a.FedRAMP,
		ResponsesOrigin: a.ResponsesOrigin, AccountRoutingOverride: a.AccountRoutingOverride,
		Cause: problem(a.Cause), Notice: problem(a.Notice), Headers: map[string]string{},
	}
	if !a.RetryAt.IsZero() {
		out.RetryAt = a.RetryAt.Unix()
	}
	headers := http.Header{}
	a.SetHeaders(headers)
	for name := range headers {
		out.Headers[name] = headers.Get(name)
	}
	return Result{Authorization: out}
}

func problem(err error) *Problem {
	if err == nil {
		return nil
	}
	return &Problem{Code: core.Code(err), Message: err.Error()}
}
