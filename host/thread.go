package host

import (
	"context"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// CodeThreadFailed is a thread's call that cannot be authorized now: the error of
// a turn. The next turn tries again.
const CodeThreadFailed = "thread_failed"

// Thread authorizes the calls of one conversation, with a task of its own. It is
// safe for concurrent use. It costs next to nothing, and keeps nothing: what there is to
// remember the manager does, for all threads with the same id.
type Thread struct {
	manager *Manager
	id      string
}

// Thread returns the conversation with that id, up to 4096 bytes of the harness's
// choice. Its task is registered when it is first needed, and kept in the store:
// a conversation that is resumed has the same one, unless the agent's identity
// has changed meanwhile.
func (m *Manager) Thread(id string) *Thread { return &Thread{manager: m, id: id} }

// ID returns the conversation's id.
func (t *Thread) ID() string { return t.id }

// Authorization returns what a call on a thread's surface carries now: by
// default core.SurfaceResponses. Unlike a background call's, a registration that
// fails is an error, CodeThreadFailed with the failure in its chain, because a
// conversation does not change from the agent to the user in its middle.
//
// Errors: CodeThreadFailed, core.CodeUnknownSurface, core.CodeThreadSurface,
// core.CodeInvalidThreadID, and those of [Manager.Authorization].
func (t *Thread) Authorization(ctx context.Context, surface string) (Authorization, error) {
	if surface == "" {
		surface = core.SurfaceResponses
	}
	s, err := core.LookupSurface(surface)
	if err != nil {
		return Authorization{}, err
	}
	c := t.call(s)
	if s.Scope == core.ScopeThread {
		if a, ok, err := t.manager.recall(ctx, c); ok {
			if err != nil {
				return Authorization{}, err
			}
			return turn(a)
		}
	}
	a, err := t.manager.ask(ctx, c)
	if err != nil {
		return Authorization{}, err
	}
	return turn(a)
}

// call is a call of the thread's, on one of its surfaces.
func (t *Thread) call(s core.Surface) call {
	c := call{manager: t.manager.id, surface: s.Name, thread: t.id, place: placeOf(s)}
	if s.Scope != core.ScopeThread || t.id == "" {
		c.place = placeNowhere // the flow says what is wrong with it
	}
	return c
}

// turn makes an error of what is not to be sent because something failed. That
// nobody is signed in is no failure: such calls go out as they are.
func turn(a Authorization) (Authorization, error) {
	if a.Mode == core.ModeNone && a.Cause != nil && a.Reason != core.ReasonNoChatGPTCredentials {
		return Authorization{}, fail(CodeThreadFailed, "the turn cannot be authorized; try again with the next", a.Cause)
	}
	return a, nil
}

// Prewarm registers the thread's task, so that the first turn does not wait.
// Its errors are those of Authorization.
func (t *Thread) Prewarm(ctx context.Context) error {
	_, err := t.Authorization(ctx, core.SurfaceResponses)
	return err
}

// useJWTIdentity puts an identity that arrived as a JWT in the place of a store
// and of credentials.
func useJWTIdentity(c *ManagerConfig) error {
	if i := c.JWTIdentity; i.Credentials.Kind != wire.CredentialsAgentIdentity || i.Credentials.AccessToken != "" {
		return fail(CodeInvalidManagerConfig, "the JWT's identity is none; take one from package identityjwt", nil)
	}
	store := new(MemoryStore)
	if err := store.Save(context.Background(), wire.SlotIdentity, c.JWTIdentity.Record); err != nil {
		return err
	}
	credentials := c.JWTIdentity.Credentials
	c.JWTIdentity = nil // it is in the store now
	c.Store = store
	c.Credentials = CredentialFunc(func(context.Context) (Credentials, error) { return credentials, nil })
	return nil
}
