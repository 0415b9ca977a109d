package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/agentassert/agentassert/host"
)

// tenants are those whose calls the proxy authorizes.
type tenants interface {
	// admit reports whether a request shows a token, and whose call it then is.
	admit(h http.Header) (account string, ok bool)
	// manager returns the manager of an account, until it is released.
	//
	// The error is errNoAccount or errUnknownAccount, or says why the account has none.
	manager(ctx context.Context, account string) (m *host.Manager, release func(), err error)
}

// tokenOf returns the token that a request shows. The proxy's own header, where it is
// sent, is the one that counts.
func tokenOf(h http.Header) string {
	token := h.Get(tokenHeader)
	if scheme, value, ok := strings.Cut(h.Get("Authorization"), " "); token == "" && ok && strings.EqualFold(scheme, "Bearer") {
		token = strings.TrimSpace(value)
	}
	return token
}

// sameToken compares two tokens in a time that depends on neither.
func sameToken(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// oneUser has one token, and one manager for all calls.
type oneUser struct {
	token string
	only  *host.Manager
}

func (u *oneUser) admit(h http.Header) (account string, ok bool) {
	return "", sameToken(tokenOf(h), u.token)
}

func (u *oneUser) manager(context.Context, string) (*host.Manager, func(), error) {
	return u.only, func() {}, nil
}

// errNoAccount is of a request that does not say for which account it is, or for several.
var errNoAccount = errors.New("the request names no account, or more than one")

// byHeader has one token, and callers who say for which account they call.
type byHeader struct {
	token, header string
	accounts      *accounts
	pool          *host.Pool
}

func (b *byHeader) admit(h http.Header) (account string, ok bool) {
	if named := h.Values(b.header); len(named) == 1 {
		account = named[0]
	}
	return account, sameToken(tokenOf(h), b.token)
}

func (b *byHeader) manager(ctx context.Context, account string) (*host.Manager, func(), error) {
	if account == "" {
		return nil, nil, errNoAccount
	}
	return pooled(ctx, b.accounts, b.pool, account)
}

// byToken has a token for each account, which says whose it is.
type byToken struct {
	accounts *accounts
	pool     *host.Pool
}

func (b *byToken) admit(h http.Header) (account string, ok bool) {
	token := tokenOf(h)
	account = token[:max(0, strings.LastIndexByte(token, '.'))]
	// Without an account there is a comparison all the same.
	want, err := b.accounts.token(account)
	return account, sameToken(token, want) && err == nil
}

func (b *byToken) manager(ctx context.Context, account string) (*host.Manager, func(), error) {
	return pooled(ctx, b.accounts, b.pool, account)
}

// pooled returns the manager of an account that is there now.
func pooled(ctx context.Context, a *accounts, pool *host.Pool, account string) (*host.Manager, func(), error) {
	if _, err := a.authFile(account); err != nil {
		return nil, nil, err
	}
	return pool.Manager(ctx, account)
}

// survey returns how many accounts can be used, and what is wrong with the others, a line
// for each of the first ones.
func survey(a *accounts, withTokens bool) (usable int, problems []string, err error) {
	names, err := a.list()
	if err != nil {
		return 0, nil, err
	}
	const most = 5
	wrong := 0
	for _, name := range names {
		_, err := a.authFile(name)
		if err == nil && withTokens {
			_, err = a.token(name)
		}
		if err == nil {
			usable++
			continue
		}
		if wrong++; wrong <= most {
			problems = append(problems, fmt.Sprintf("the account %.140q cannot be used: %s", name, oneLine(err)))
		}
	}
	if wrong > most {
		problems = append(problems, fmt.Sprintf("and %d more accounts", wrong-most))
	}
	return usable, problems, nil
}
