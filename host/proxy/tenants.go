package proxy

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
)

// Tenants are those whose calls the proxy authorizes. They are used by several goroutines
// at once.
//
// One that is a [FieldOwner] says which header fields callers name themselves in, one that
// is a [Checker] whether there is anybody whose calls can be authorized.
type Tenants interface {
	// Admit reports whether a request shows a token, and whose call it then is. Where it
	// does not, the account does not count.
	Admit(h http.Header) (account string, ok bool)
	// Manager returns the manager of an account, until it is released, which is once. The
	// manager's base URL has to be that of the Setup.
	//
	// The error is [ErrNoAccount] or [ErrUnknownAccount], or says, to the log only, why
	// the account has none.
	Manager(ctx context.Context, account string) (m *host.Manager, release func(), err error)
}

// FieldOwner is implemented by [Tenants] that read more of a request's header than the
// token in [TokenHeader] or as a bearer token.
type FieldOwner interface {
	// Fields are the header fields that are the tenants', and that are not forwarded, in
	// whatever spelling.
	Fields() []string
}

// tokenOf returns the token that a request shows. The proxy's own header, where it is
// sent, is the one that counts.
func tokenOf(h http.Header) string {
	token := h.Get(TokenHeader)
	if scheme, value, ok := strings.Cut(h.Get("Authorization"), " "); token == "" && ok && strings.EqualFold(scheme, "Bearer") {
		token = strings.TrimSpace(value)
	}
	return token
}

// digest is of a token, so that two are compared in a time that depends on neither, and
// none is kept.
type digest [sha256.Size]byte

func digestOf(token string) digest { return sha256.Sum256([]byte(token)) }

func (d digest) is(token string) bool {
	other := digestOf(token)
	return subtle.ConstantTimeCompare(d[:], other[:]) == 1
}

// OneUser returns tenants with one token, and one manager for all calls.
func OneUser(token string, m *host.Manager) Tenants { return &oneUser{digestOf(token), m} }

type oneUser struct {
	token digest
	only  *host.Manager
}

func (u *oneUser) Admit(h http.Header) (account string, ok bool) {
	return "", u.token.is(tokenOf(h))
}

func (u *oneUser) Manager(context.Context, string) (*host.Manager, func(), error) {
	return u.only, func() {}, nil
}

// Check implements [Checker].
func (u *oneUser) Check(ctx context.Context, thread string) (Usable, error) {
	status, err := u.only.Status(ctx, thread)
	if err != nil {
		return Usable{}, err
	}
	var shown host.SurfaceStatus
	usable := false
	for _, s := range status.Surfaces {
		if s.Scope == core.ScopeBearerOnly {
			continue
		}
		usable = usable || s.Mode != core.ModeNone
		if rank(s) > rank(shown) {
			shown = s
		}
	}
	found := Usable{Mode: shown.Mode, Reason: shown.Reason}
	if !usable {
		return found, fmt.Errorf("calls carry no authorization (%s)", found.Reason)
	}
	return found, nil
}

// rank is how much there is to know of a call: what falls back most, and of others what
// asserts.
func rank(s host.SurfaceStatus) int {
	switch {
	case s.FallsBack:
		return 3
	case s.Mode == core.ModeAgentAssertion || s.Mode == core.ModeDualHeader:
		return 2
	case s.Mode != "":
		return 1
	}
	return 0
}

// ErrNoAccount is of a request that does not say for which account it is, or for several.
var ErrNoAccount = errors.New("the request names no account, or more than one")

// ByHeader returns tenants with one token, whose callers name the account they call for in
// a header field. Whoever has the token can call as any of them. The pool makes the
// accounts' managers.
func ByHeader(token, header string, accounts *Accounts, pool *host.Pool) Tenants {
	return &byHeader{digestOf(token), http.CanonicalHeaderKey(header), accounts, pool}
}

type byHeader struct {
	token    digest
	header   string
	accounts *Accounts
	pool     *host.Pool
}

func (b *byHeader) Admit(h http.Header) (account string, ok bool) {
	if named := h[b.header]; len(named) == 1 {
		account = named[0]
	}
	return account, b.token.is(tokenOf(h))
}

func (b *byHeader) Manager(ctx context.Context, account string) (*host.Manager, func(), error) {
	if account == "" {
		return nil, nil, ErrNoAccount
	}
	return pooled(ctx, b.accounts, b.pool, account)
}

// Fields implements [FieldOwner].
func (b *byHeader) Fields() []string { return []string{b.header} }

// Check implements [Checker].
func (b *byHeader) Check(context.Context, string) (Usable, error) {
	return Usable{}, b.accounts.check(false)
}

// ByToken returns tenants with a token for each account, which says whose it is: it is in
// the account's folder, in [AccountTokenFile], and is the account's name, a dot, and random
// characters. The pool makes the accounts' managers.
func ByToken(accounts *Accounts, pool *host.Pool) Tenants { return &byToken{accounts, pool} }

type byToken struct {
	accounts *Accounts
	pool     *host.Pool
}

func (b *byToken) Admit(h http.Header) (account string, ok bool) {
	token := tokenOf(h)
	account = token[:max(0, strings.LastIndexByte(token, '.'))]
	// Without an account there is a comparison all the same.
	want, err := b.accounts.token(account)
	return account, digestOf(want).is(token) && err == nil
}

func (b *byToken) Manager(ctx context.Context, account string) (*host.Manager, func(), error) {
	return pooled(ctx, b.accounts, b.pool, account)
}

// Check implements [Checker].
func (b *byToken) Check(context.Context, string) (Usable, error) {
	return Usable{}, b.accounts.check(true)
}

// pooled returns the manager of an account that is there now.
func pooled(ctx context.Context, a *Accounts, pool *host.Pool, account string) (*host.Manager, func(), error) {
	if _, err := a.AuthFile(account); err != nil {
		return nil, nil, err
	}
	return pool.Manager(ctx, account)
}
