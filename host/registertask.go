package host

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/hidden"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/egress"
	"github.com/agentassert/agentassert/internal/policy"
)

// TaskRegistration says for which agent [RegisterTask] registers a task, and where.
type TaskRegistration struct {
	// Agent is the identity: of it, AgentRuntimeID and PrivateKey are used. Required.
	Agent core.Identity
	// Profile is wire.ProfileBiscuit, the default, or wire.ProfileAuthAPI.
	Profile string
	// BaseURL is the backend's. Required.
	BaseURL string
	// AuthAPIURL is below which wire.ProfileAuthAPI registers. The default is that of
	// BaseURL's environment; another backend has none.
	AuthAPIURL string
	// AccessToken is the user's, which wire.ProfileBiscuit wants for the biscuit that
	// authorizes the registration, and wire.ProfileAuthAPI does not.
	AccessToken string
	// AllowHTTP allows a BaseURL and an AuthAPIURL with http for other hosts than this one.
	AllowHTTP bool
	// HTTPClient lends its Transport. The default is http.DefaultTransport.
	HTTPClient *http.Client
	// Tries is how often the registration is tried, if it fails in a way that passes. The
	// default is 1. Between two tries are 100 ms, which double, or what the backend asks
	// for, up to 5 s: where it asks for more, there is no other try.
	Tries int
	// Engine signs, and opens the task's id if it is sealed. The default is the core in
	// this process, where the key is already.
	Engine Engine
	// Now is the clock. The default is time.Now.
	Now func() time.Time
	// Rand is the source of entropy. The default is crypto/rand.
	Rand io.Reader
}

// Format implements fmt.Formatter, and hides the key and the access token.
func (t TaskRegistration) Format(f fmt.State, _ rune) { hidden.Format(f, t) }

// MarshalText implements encoding.TextMarshaler, and hides them.
func (t TaskRegistration) MarshalText() ([]byte, error) { return hidden.Text(t) }

// GobEncode implements gob.GobEncoder, and fails.
func (t TaskRegistration) GobEncode() ([]byte, error) { return hidden.Gob(t) }

// RegisterTask registers a task for an agent whose key the caller has, and returns its
// id, for [core.BuildAssertion] and for the caller to keep. It needs no manager and no
// store, remembers no failures, and is done within the caller's context; of callers at
// the same time each registers a task of its own.
//
// Errors: a *core.Refusal where the backend refuses; core.CodeRequestFailed where there
// is no answer; CodeCanceled where the context ends; CodeInsecureBaseURL;
// CodeInvalidManagerConfig (a number of tries below 0); CodeNoEntropy; those of
// [core.RegistrationRequest] and [core.ReadTask]; those of the engine. What passes is
// core.ErrTemporary, an agent that the backend does not know core.ErrAgentRevoked.
func RegisterTask(ctx context.Context, t TaskRegistration) (taskID string, err error) {
	r, err := newRegistrar(t)
	if err != nil {
		return "", err
	}
	for try := 1; ; try++ {
		taskID, err = r.register(ctx)
		if err == nil || try >= r.Tries || !errors.Is(err, core.ErrTemporary) {
			return taskID, err
		}
		pause, ok := pauseAfter(try, err)
		if !ok {
			return "", err
		}
		if waitErr := wait(ctx, pause); waitErr != nil {
			return "", fail(CodeCanceled, "the caller stopped waiting for the task's registration", errors.Join(waitErr, err))
		}
	}
}

const (
	// firstPause is the shortest between two tries, and longestPause the longest.
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

// pauseAfter is how long to wait before another try, if there is to be one.
func pauseAfter(try int, err error) (pause time.Duration, ok bool) {
	pause = min(firstPause<<min(try-1, 10), longestPause)
	if refusal, is := errors.AsType[*core.Refusal](err); is {
		pause = max(pause, time.Duration(refusal.RetryAfter)*time.Second)
	}
	return pause, pause <= longestPause
}

// registrar registers one task.
type registrar struct {
	TaskRegistration
	exchange    exchanger
	config      wire.Config
	credentials wire.Credentials
}

func newRegistrar(t TaskRegistration) (*registrar, error) {
	base, err := core.NormalizeBaseURL(t.BaseURL, nil)
	if err != nil {
		return nil, err
	}
	for _, u := range []string{base.BaseURL, t.AuthAPIURL} {
		if !t.AllowHTTP && egress.IsInsecure(u) {
			return nil, errInsecure()
		}
	}
	if t.Tries < 0 {
		return nil, fail(CodeInvalidManagerConfig, "a task's registration cannot be tried less than once", nil)
	}
	t.Tries = max(t.Tries, 1)
	if t.Engine == nil {
		t.Engine = NewNative()
	}
	t.Rand = cmp.Or[io.Reader](t.Rand, rand.Reader)
	if t.Now == nil {
		t.Now = time.Now
	}
	return &registrar{
		TaskRegistration: t,
		exchange:         newExchanger(t.HTTPClient),
		config:           wire.Config{BaseURL: base.BaseURL, Profile: t.Profile, AuthAPIURL: t.AuthAPIURL, AgentIdentity: true},
		// The account is not sent; what is checked of the engine's requests is that of a call
		// which has one.
		credentials: wire.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: t.AccessToken, AccountID: "any"},
	}, nil
}

// register registers the task, with a biscuit where the profile has them.
func (r *registrar) register(ctx context.Context) (taskID string, err error) {
	// What the engine wants to be sent is held against what a flow may send.
	allowed := policy.New(policy.Call{Config: r.config, Surface: core.SurfaceResponses, ThreadID: newThread, Credentials: r.credentials})
	if err := allowed.Effect(wire.Effect{Type: wire.EffectLock, Slot: wire.SlotIdentity}); err != nil {
		return "", fail(core.CodeInvalidConfig, "the profile has no tasks", nil)
	}
	biscuit := ""
	if r.Profile == wire.ProfileBiscuit {
		answer, err := r.send(ctx, allowed, wire.StepBiscuit, "")
		if err != nil {
			return "", err
		}
		biscuit = answer.Biscuit
	}
	answer, err := r.send(ctx, allowed, wire.StepTask, biscuit)
	return answer.TaskID, err
}

// send makes the request of a step, sends it, and reads the answer.
func (r *registrar) send(ctx context.Context, allowed *policy.Flow, step, biscuit string) (wire.RegistrationAnswer, error) {
	var none wire.RegistrationAnswer
	params := wire.RegistrationRequestParams{
		Config: r.config, Credentials: r.credentials, Step: step, PrivateKey: r.Agent.PrivateKey,
		AgentRuntimeID: r.Agent.AgentRuntimeID, Biscuit: biscuit, Now: r.Now().Unix(),
	}
	if step == wire.StepBiscuit {
		params.PrivateKey, params.Entropy = "", make([]byte, entropySize)
		if _, err := io.ReadFull(r.Rand, params.Entropy); err != nil {
			return none, fail(CodeNoEntropy, "there is no entropy for a request's id", err)
		}
	}
	request, err := Call[wire.HTTPRequest](ctx, r.Engine, wire.MethodRegistrationRequest, params)
	if err != nil {
		return none, err
	}
	effect := wire.Effect{
		Type: wire.EffectHTTP, Method: request.Method, URL: request.URL, Headers: request.Headers, Body: request.Body,
		TimeoutMS: request.TimeoutMS, SizeLimit: request.SizeLimit, ResponseHeaders: request.ResponseHeaders,
	}
	if err := allowed.Effect(effect); err != nil {
		return none, err
	}
	event, err := r.exchange.exchange(ctx, effect)
	if err != nil {
		return none, noResponse(ctx, step, event, err)
	}
	allowed.Answered(effect, event)
	if refusal := refusalOf(effect, event, r.Now(), r.AccessToken, r.Agent.PrivateKey); refusal != nil {
		return none, refusal
	}
	return Call[wire.RegistrationAnswer](ctx, r.Engine, wire.MethodRegistrationRead, wire.RegistrationReadParams{
		Profile: r.Profile, Step: step, Status: event.Status, Headers: event.Headers, Body: event.Body,
		PrivateKey: params.PrivateKey,
	})
}

// noResponse is the error of a request without an answer.
func noResponse(ctx context.Context, step string, event wire.Event, err error) error {
	doing := map[string]string{wire.StepBiscuit: "minting a biscuit", wire.StepTask: "registering a task"}[step]
	switch {
	case ctx.Err() != nil:
		return fail(CodeCanceled, doing+": the caller stopped waiting", context.Cause(ctx))
	case isPassing(event):
		err = passing{err}
	}
	return fail(core.CodeRequestFailed, doing+": no response ("+event.Failure+")", err)
}
