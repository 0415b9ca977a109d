package host

import (
	"bytes"
	"context"
	"sync"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/hidden"
	"github.com/agentassert/agentassert/core/wire"
)

// IdentitySource has an agent identity that is kept somewhere else than in a [Store], such
// as in a row of a database. The functions are safe for concurrent use, and get contexts
// as a Store's methods do.
type IdentitySource struct {
	// Load returns the identity as it is now. It is called in each second in which an
	// authorization is wanted, for who it is and for its task, and once more under the lock
	// before a task is registered; not where Version says that nothing has changed. An
	// account's id has to be in it. Required.
	Load func(ctx context.Context) (core.Identity, error)
	// SaveTask replaces the task of the identity that was loaded, if both are still that:
	// compared are AgentRuntimeID and TaskID, which is empty where there is no task. Where
	// they are not, it changes nothing and fails with core.CodeRecordChanged; what is there
	// then is loaded. It is never asked to remove a task. Required.
	//
	//	UPDATE accounts SET task_id = $1 WHERE agent_runtime_id = $2 AND task_id = $3
	SaveTask func(ctx context.Context, loaded core.Identity, task string) error
	// Lock, if not nil, waits until no other process holds the identity's lock, as a
	// Store's Lock does. Without it, processes can register a task each at the same time:
	// the first to save it wins, the others find that the row has changed and use the
	// first's. What that costs is a task that nobody uses.
	Lock func(ctx context.Context) (unlock func(), err error)
	// Version, if not nil, tells cheaply that Load would return what it has returned, as
	// [Versioned] does.
	Version func(ctx context.Context) (string, error)
}

// identityStore is the store, and the source of credentials, of a manager whose identity
// is kept elsewhere. What else there is to be remembered ends with the manager.
type identityStore struct {
	source IdentitySource
	// baseURL is the backend of identities that name none.
	baseURL string
	rest    MemoryStore

	mu sync.Mutex
	// loaded is the identity as it was loaded last, or as it is since its task was saved,
	// and record what the core has been given of it. Version is the source's, from before
	// it was loaded, or empty.
	loaded  core.Identity
	record  hidden.Value[[]byte]
	version string
}

// use puts the source in the place of a store and of credentials.
func (s *IdentitySource) use(c *ManagerConfig) error {
	switch {
	case s.Load == nil || s.SaveTask == nil:
		return fail(CodeInvalidManagerConfig, "the manager's Identity lacks Load or SaveTask", nil)
	case c.Store != nil || c.Credentials != nil || c.JWTIdentity != nil:
		return fail(CodeInvalidManagerConfig, "the manager's Identity takes the place of Store, Credentials and JWTIdentity; leave them out", nil)
	case c.Profile == wire.ProfileInstances:
		return fail(CodeInvalidManagerConfig, "the manager's profile has no stored identities; use another profile, or leave Identity out", nil)
	}
	base, err := core.NormalizeBaseURL(c.BaseURL, c.TrustedHosts)
	if err != nil {
		return err
	}
	store := &identityStore{source: *s, baseURL: base.BaseURL}
	c.Store, c.Credentials = store, store
	if s.Version != nil {
		c.Store = versionedIdentityStore{store}
	}
	return nil
}

// load returns the identity, and its record: the same again where it is the same.
func (s *identityStore) load(ctx context.Context) (core.Identity, []byte, error) {
	version := ""
	if s.source.Version != nil {
		var err error
		if version, err = s.source.Version(ctx); err != nil {
			return core.Identity{}, nil, storeError("the identity's version could not be had", err)
		}
		s.mu.Lock()
		loaded, record, same := s.loaded, s.record.Get(), version != "" && version == s.version
		s.mu.Unlock()
		if same {
			return loaded, record, nil
		}
	}
	identity, err := s.source.Load(ctx)
	if err != nil {
		return core.Identity{}, nil, storeError("the identity could not be loaded", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version = ""
	if identity == s.loaded && len(s.record.Get()) > 0 {
		s.version = version
		return identity, s.record.Get(), nil
	}
	if identity.AccountID == "" {
		return core.Identity{}, nil, fail(core.CodeInvalidRecord, "the identity has no account id, which calls name; load it, too", nil)
	}
	named := identity
	if named.BaseURL == "" {
		named.BaseURL = s.baseURL
	}
	record, err := named.Record()
	if err != nil {
		return core.Identity{}, nil, err
	}
	s.loaded, s.record, s.version = identity, hidden.Of(record), version
	return identity, record, nil
}

// Credentials implements [CredentialSource].
func (s *identityStore) Credentials(ctx context.Context) (Credentials, error) {
	identity, _, err := s.load(ctx)
	return identity.Credentials(), err
}

// Load implements [Store].
func (s *identityStore) Load(ctx context.Context, slot string) ([]byte, error) {
	if slot != wire.SlotIdentity {
		return s.rest.Load(ctx, slot)
	}
	_, record, err := s.load(ctx)
	return record, err
}

// Save implements [Store].
func (s *identityStore) Save(ctx context.Context, slot string, record []byte) error {
	return s.rest.Save(ctx, slot, record)
}

// Delete implements [Store].
func (s *identityStore) Delete(ctx context.Context, slot string) error {
	return s.rest.Delete(ctx, slot)
}

// Swap implements [Store], for another task of the identity.
func (s *identityStore) Swap(ctx context.Context, slot string, old, new []byte) error {
	if slot != wire.SlotIdentity {
		return s.rest.Swap(ctx, slot, old, new)
	}
	s.mu.Lock()
	loaded, isThat := s.loaded, bytes.Equal(s.record.Get(), old)
	s.mu.Unlock()
	if !isThat {
		return errIdentityChanged()
	}
	changed, err := core.ImportIdentity(new)
	if err != nil {
		return err
	}
	if changed.AgentRuntimeID != loaded.AgentRuntimeID || changed.TaskID == "" {
		return fail(core.CodeStoreFailed, "an identity that is kept elsewhere gets other tasks, and nothing else", nil)
	}
	if err := s.source.SaveTask(ctx, loaded, changed.TaskID); err != nil {
		return storeError("the identity's task was not saved", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version = ""
	if s.loaded == loaded {
		s.loaded.TaskID = changed.TaskID
		s.record = hidden.Of(bytes.Clone(new))
	}
	return nil
}

func errIdentityChanged() error {
	return fail(core.CodeRecordChanged, "another identity, or another task, has taken the place of the one that was loaded", nil)
}

// Lock implements [Store].
func (s *identityStore) Lock(ctx context.Context, slot string) (unlock func(), err error) {
	// In this process it is held in any case, so that only one asks for the other.
	own, err := s.rest.Lock(ctx, slot)
	if err != nil || slot != wire.SlotIdentity || s.source.Lock == nil {
		return own, err
	}
	others, err := s.source.Lock(ctx)
	if err != nil {
		own()
		return nil, err
	}
	return func() {
		others()
		own()
	}, nil
}

// versionedIdentityStore is an identityStore that can tell that nothing has changed.
type versionedIdentityStore struct{ *identityStore }

// Version implements [Versioned].
func (s versionedIdentityStore) Version(ctx context.Context, slot string) (string, error) {
	if slot != wire.SlotIdentity {
		return s.rest.Version(ctx, slot)
	}
	return s.source.Version(ctx)
}
