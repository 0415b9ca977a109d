package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

const (
	checkNameSignIn   = "sign-in"
	checkNameIdentity = "identity"
	checkNameCalls    = "calls"
)

// document is what is looked at of auth.json beside what the core reads of it.
type document struct {
	Mode        string          `json:"auth_mode"`
	LastRefresh string          `json:"last_refresh"`
	Tokens      json.RawMessage `json:"tokens"`
	FlatToken   string          `json:"access_token"`
	APIKey      string          `json:"OPENAI_API_KEY"`
}

// checkSignIn is about who is signed in, by the file.
func (e *examination) checkSignIn() {
	if !e.isRead {
		return
	}
	result := fromDocument(e.content, e.info.ModTime(), e.Now(), wire.FileOperationCredentials, "")
	if result.Error != nil {
		e.failed(checkNameSignIn, Problem, errors.New(result.Error.Message))
		if last := &e.findings[len(e.findings)-1]; last.Advice == "" {
			last.Advice = "sign in again, which writes the file anew, or put a copy of it there"
		}
		if age := e.Now().Sub(e.info.ModTime()); age.Abs() < writtenJustNow {
			e.note(checkNameSignIn, "run this once more", "it was written %s ago: whoever writes it may not have come to the end", short(age))
		}
		return
	}
	if result.Credentials == nil {
		return
	}
	e.credentials = result.Credentials
	if p := e.credentials.Problem; p != nil && p.Code == core.CodeIdentityJWTSignIn {
		e.note(checkNameSignIn, "agentassert status says whether it can be used", "the file has an identity JWT in place of a sign-in, whose signature only the backend's keys can tell of")
		return
	} else if p != nil {
		e.failed(checkNameSignIn, Problem, errors.New(p.Message))
		return
	}
	var d document
	_ = json.Unmarshal(e.content, &d) // the core has read it
	if (len(d.Tokens) == 0 || string(d.Tokens) == "null") && d.FlatToken != "" {
		e.note(checkNameSignIn, "", "the file has the form in which other programs export a sign-in, and not the client's own: it is read; see that the program that renews its tokens keeps what is added to it")
	}
	if d.APIKey != "" && e.credentials.Kind == wire.CredentialsChatGPT {
		e.note(checkNameSignIn, "", "the file has an API key as well, which is not used: auth_mode says that the ChatGPT sign-in counts")
	}
	account := "which account it is for, it does not say"
	if e.credentials.AccountID != "" {
		account = "account " + shown(e.credentials.AccountID)
	}
	renewed := ""
	if at := parseTime(d.LastRefresh); !at.IsZero() {
		renewed = ", its tokens renewed " + e.ago(at)
	}
	e.ok(checkNameSignIn, "somebody is signed in: %s%s", account, renewed)
}

// ago is a time, and how long it is past or to come.
func (e *examination) ago(at time.Time) string {
	absolute := at.UTC().Format(time.RFC3339)
	if d := e.Now().Sub(at); d >= 0 {
		return absolute + " (" + short(d) + " ago)"
	}
	return absolute + " (in " + short(at.Sub(e.Now())) + ")"
}

// identityText is the stored identity's record.
func (e *examination) identityText() []byte {
	if e.Store != nil || e.Beside {
		text, _ := e.store.Load(context.Background(), wire.SlotIdentity) // from memory
		return text
	}
	if !e.isRead {
		return nil
	}
	return fromDocument(e.content, e.info.ModTime(), e.Now(), wire.FileOperationLoad, wire.SlotIdentity).Record
}

func (e *examination) readIdentity() record { return parseRecord(e.identityText()) }

// checkIdentity is about what is stored of an identity.
func (e *examination) checkIdentity(ctx context.Context) {
	if e.credentials == nil && e.Store == nil {
		return
	}
	text := e.identityText()
	if len(text) > 0 {
		if err := e.store.Save(ctx, wire.SlotIdentity, text); err != nil {
			e.failed(checkNameIdentity, Problem, err)
		}
	}
	switch e.identity = parseRecord(text); {
	case e.identity.isJWT:
		e.note(checkNameIdentity, "use it with --jwt-file or --profile auth-api", "there is an identity JWT, as later clients keep one, in the place of an identity")
	case len(text) == 0:
		e.ok(checkNameIdentity, "there is no identity yet: the first call registers one")
	case e.identity.id == "":
		// What it means, the calls tell.
		e.note(checkNameIdentity, "", "there is something in the identity's place that is none of this project's records")
	default:
		e.describeIdentity()
	}
	e.checkSetAside(ctx)
}

func (e *examination) describeIdentity() {
	i := e.identity
	task := "no background task yet"
	if i.taskID != "" {
		task = "background task " + i.taskID
	}
	registered := ""
	if !i.registered.IsZero() {
		registered = ", registered " + e.ago(i.registered)
	}
	e.ok(checkNameIdentity, "agent %s%s; %s", i.id, registered, task)
	if !i.replaced.IsZero() {
		e.note(checkNameIdentity, "if nobody has revoked it, ask whoever runs the backend",
			"the backend no longer knew the identity that was there before, which was revoked, or lost with the backend's memory: agent %s took its place %s", i.id, e.ago(i.replaced))
	}
	if i.replaced.IsZero() && !i.byTask.IsZero() {
		e.note(checkNameIdentity, "", "the backend no longer knew the background task that was there before: task %s took its place %s", i.taskID, e.ago(i.byTask))
	}
}

// setAside is an entry of the record set-aside.
type setAside struct {
	At     string `json:"set_aside_at"`
	Reason string `json:"reason"`
}

// checkSetAside is about identities that others have taken the place of.
func (e *examination) checkSetAside(ctx context.Context) {
	text, _ := e.store.Load(ctx, wire.SlotSetAside) // from memory
	var entries []setAside
	if json.Unmarshal(text, &entries) != nil || len(entries) == 0 {
		return
	}
	last := entries[len(entries)-1]
	why := "it was of another account or user, or damaged"
	if last.Reason == core.CodeUnknownAgent {
		why = "the backend no longer knew it"
	}
	e.note(checkNameIdentity, "", "identities that others have taken the place of are kept in the record set-aside, and not used: %d in all; the last one came there %s, for %s", len(entries), e.ago(parseTime(last.At)), why)
}

// checkCalls is about what calls would carry, by copies of what is stored.
func (e *examination) checkCalls(ctx context.Context) {
	if e.credentials == nil || e.credentials.Problem != nil || e.base == nil || e.identity.isJWT {
		return // which was said, or is another flow
	}
	m, err := e.manager()
	if err != nil {
		e.failed(checkNameCalls, Problem, err)
		return
	}
	defer closeQuietly(m)
	status, err := m.Status(ctx)
	if err != nil {
		e.failed(checkNameCalls, Problem, err)
		return
	}
	seen := map[string]bool{}
	asserts, registers, registersAll := false, false, true
	for _, row := range status.Surfaces {
		if row.Scope == core.ScopeBearerOnly || row.Reason == core.ReasonUnsupportedHost {
			continue // as it should be, or said of the base URL
		}
		isAssertion := row.Mode == core.ModeAgentAssertion || row.Mode == core.ModeDualHeader
		if isAssertion {
			asserts, registers, registersAll = true, registers || row.Registers, registersAll && row.Registers
		}
		for _, line := range e.Said(row.Mode, row.Reason, row.Cause, row.Notice) {
			if seen[line] {
				continue
			}
			seen[line] = true
			level := Note
			if !isAssertion && row.Reason != core.ReasonFeatureOff && row.Reason != core.ReasonBearerSurface {
				level = Problem
			}
			e.failed(checkNameCalls, level, errors.New(line))
			e.sayRetry(level, row)
		}
	}
	switch {
	case asserts && !e.base.Supported:
		e.ok(checkNameCalls, "calls in conversations carry an assertion, and others the bearer token")
	case asserts && registersAll && e.readOnly != "" && e.Store == nil && !e.Beside:
		return // what cannot be kept is not registered, which was said
	case asserts && registersAll:
		e.ok(checkNameCalls, "calls carry an assertion, once the first has registered what is missing")
	case asserts && registers:
		e.ok(checkNameCalls, "calls carry an assertion of agent %s; a new conversation registers its task first", e.identity.id)
	case asserts:
		e.ok(checkNameCalls, "calls carry an assertion of agent %s", e.identity.id)
	case len(seen) == 0:
		e.note(checkNameCalls, "", "calls carry the bearer token, and no assertion")
	}
}

// sayRetry adds to a problem of calls when it passes.
func (e *examination) sayRetry(level string, row host.SurfaceStatus) {
	last := &e.findings[len(e.findings)-1]
	if !row.RetryAt.IsZero() {
		last.Message += ": it is tried again " + e.ago(row.RetryAt)
	}
	if last.Advice != "" || level != Problem {
		return
	}
	last.Advice = "agentassert status shows more"
	if !row.RetryAt.IsZero() {
		last.Advice = "put right what failed, and wait until then; without the record backoff it is tried at once"
	}
}

// manager is one with copies of what is stored, and of who is signed in.
func (e *examination) manager() (*host.Manager, error) {
	config := e.Manager
	config.Store, config.Credentials = e.store, signedIn(*e.credentials)
	config.HTTPClient, config.Now = &http.Client{Transport: nothingSent{}}, e.Now
	return host.NewManager(config)
}

// nothingSent is for a manager that is not to send anything.
type nothingSent struct{}

func (nothingSent) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close() // as RoundTrip must
	}
	return nil, errors.New("nothing is sent")
}

// signedIn is who was signed in.
type signedIn wire.Credentials

func (s signedIn) Credentials(context.Context) (wire.Credentials, error) {
	return wire.Credentials(s), nil
}

// closeQuietly ends a manager that has stored nothing.
func closeQuietly(m *host.Manager) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = m.Close(ctx)
}
