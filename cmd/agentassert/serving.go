package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/proxy"
)

// serving is whom a run of the proxy serves, and with what.
type serving struct {
	proxy.Setup
	// whom says for the first line who they are, and said what a person should hear of
	// them.
	whom string
	said []string
}

// serving opens what the flags say: one user's manager, or those of accounts. Done ends
// them, as closeManager does. Calls that name no conversation are in the given one, whose
// task nobody keeps unless it is --thread.
//
// The log is told of registrations, and when calls begin or cease to carry the bearer token
// in place of an assertion.
func (f *proxyFlags) serving(ctx context.Context, e host.Engine, client *http.Client, token, thread string, log *slog.Logger, observer host.Observer) (s serving, done func(*error), err error) {
	if err := f.checkAccountFlags(); err != nil {
		return serving{}, nil, err
	}
	s.Thread = thread
	change := func(c *host.ManagerConfig, log *slog.Logger) {
		c.Logger, c.Observer = log, host.Observers{host.LogObserver(log), observer}
		if c.Store != nil && f.thread == "" {
			c.Store = proxy.InMemory(c.Store, s.Thread)
		}
	}
	if f.accounts != "" {
		return f.servingAccounts(ctx, e, client, token, s, func(c *host.ManagerConfig, account string) {
			change(c, log.With("account", account))
		})
	}
	m, done, err := f.open(ctx, e, client, func(c *host.ManagerConfig) { change(c, log) })
	if err != nil {
		return serving{}, nil, err
	}
	// What is wrong already is better said now than to every caller.
	status, err := m.Status(ctx, s.Thread)
	if err != nil {
		done(&err)
		return serving{}, nil, argument(err, core.CodeInvalidThreadID)
	}
	s.Tenants, s.BaseURL, s.said = proxy.OneUser(token, m), m.BaseURL(), saidOfStatus(status)
	return s, done, nil
}

// servingAccounts is serving with --accounts.
func (f *proxyFlags) servingAccounts(ctx context.Context, e host.Engine, client *http.Client, token string, s serving, change func(c *host.ManagerConfig, account string)) (serving, func(*error), error) {
	all, err := openAccounts(f.accounts)
	if err != nil {
		return serving{}, nil, err
	}
	if s.BaseURL, err = f.check(ctx, e, client, s.Thread); err != nil {
		return serving{}, nil, err
	}
	usable, problems, err := all.Survey(f.accountTokens)
	if err != nil {
		return serving{}, nil, err
	}
	s.whom, s.said = fmt.Sprintf(", for %d accounts in %s", usable, all.Folder()), problems
	pool, err := host.NewPool(host.PoolConfig{Config: func(ctx context.Context, account string) (host.ManagerConfig, error) {
		of := f.backendOptions
		var err error
		if of.authFile, err = all.AuthFile(account); err != nil {
			return host.ManagerConfig{}, err
		}
		c, _, err := of.config(ctx, e, client) // an auth.json is not closed
		change(&c, account)
		return c, err
	}})
	if err != nil {
		return serving{}, nil, err
	}
	if f.accountTokens {
		s.Tenants, s.ConnectionsOfAccount = proxy.ByToken(all, pool), proxy.MaxConnections/4
		s.said = append([]string{fmt.Sprintf("callers send the token in their account's file %s", proxy.AccountTokenFile)}, s.said...)
	} else {
		s.Tenants = proxy.ByHeader(token, f.accountHeader, all, pool)
		s.said = append([]string{fmt.Sprintf("callers name the account in the header %s", http.CanonicalHeaderKey(f.accountHeader))}, s.said...)
	}
	return s, func(err *error) { closePool(pool, err) }, nil
}

// openAccounts opens the folder that --accounts names.
func openAccounts(folder string) (*proxy.Accounts, error) {
	all, err := proxy.OpenAccounts(folder)
	if err != nil {
		return nil, usage(fmt.Errorf("--accounts: %w", err))
	}
	return all, nil
}

// check says now what is wrong with what all accounts have in common, and returns the
// base URL.
func (f *proxyFlags) check(ctx context.Context, e host.Engine, client *http.Client, thread string) (baseURL string, err error) {
	of := f.backendOptions
	of.installationID = cmp.Or(of.installationID, "each account's")
	c, err := of.settings(e, client)
	if err != nil {
		return "", err
	}
	c.Store = new(host.MemoryStore)
	c.Credentials = host.CredentialFunc(func(context.Context) (host.Credentials, error) {
		return host.Credentials{Kind: wire.CredentialsNone}, nil
	})
	m, err := of.newManager(c)
	if err != nil {
		return "", err
	}
	defer closeManager(m, &err)
	if _, err := m.Status(ctx, thread); err != nil {
		return "", argument(err, core.CodeInvalidThreadID)
	}
	return m.BaseURL(), nil
}

// accountField is a field that --account-header can name. It is one of those that are
// somebody's own by custom, so that it is none which the call needs.
var accountField = regexp.MustCompile(`^[Xx]-[A-Za-z0-9-]{1,64}$`)

func (f *proxyFlags) checkAccountFlags() error {
	switch {
	case f.accounts == "" && (f.accountHeader != "" || f.accountTokens):
		return usage(errors.New("--account-header and --account-tokens are for --accounts, which is not given"))
	case f.accounts == "":
		return nil
	case f.accountHeader == "" && !f.accountTokens:
		return usage(errors.New("--accounts needs to know how callers say which one they call for: in a header (--account-header X-Account), or by a token of each account's (--account-tokens)"))
	case f.accountHeader != "" && !(accountField.MatchString(f.accountHeader) && proxy.Forwards(f.accountHeader) &&
		!strings.HasPrefix(strings.ToLower(f.accountHeader), "x-openai-")):
		return usage(fmt.Errorf("--account-header is a name such as X-Account, of letters, digits and -, and none that the proxy or the backend has, not %q", f.accountHeader))
	}
	return nil
}
