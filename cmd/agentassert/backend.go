package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/cmd/agentassert/internal/settings"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
	"github.com/agentassert/agentassert/host/identityjwt"
	"github.com/agentassert/agentassert/host/keyringstore"
)

// backendOptions say whose calls are authorized, to which backend, and how: the
// flags that header, status and proxy share.
type backendOptions struct {
	kept                 storeOptions
	authFile, jwtFile    string
	keyringHome          string
	beside, unlocked     bool
	baseURLFlag, baseURL string
	trusted              []string
	off, strict          bool
	allowHTTP            bool
	profile, authAPIURL  string
	allSurfaces          bool
	routing              bool
	workspaces           []string

	headerMode, installationID string
}

// profiles are the values of --profile.
var profiles = map[string]string{"biscuit": wire.ProfileBiscuit, "auth-api": wire.ProfileAuthAPI, "instances": wire.ProfileInstances}

// profileNames are the same in the order in which they are offered.
var profileNames = []string{"biscuit", "auth-api", "instances"}

// headerModes are the values of --header-mode.
var headerModes = []string{wire.HeaderModeDual, wire.HeaderModeAssertionOnly}

// defaultBaseURL is the public backend's.
const defaultBaseURL = "https://chatgpt.com/backend-api"

// register adds the flags; the base URL's has the given name. Others are flags that stand
// for a sign-in, too. Without any of these, the sign-in is the reference client's.
func (b *backendOptions) register(cmd *cobra.Command, baseURLFlag string, others ...string) {
	b.baseURLFlag = baseURLFlag
	f := cmd.Flags()
	f.StringVar(&b.authFile, "auth-file", "", "the auth.json that the user signed in with (default: auth.json in CODEX_HOME, or in ~/.codex)")
	f.StringVar(&b.keyringHome, "keyring-home", "", "in place of --auth-file, the home folder of a client that keeps its sign-in in the system's keyring")
	f.BoolVar(&b.beside, "identity-beside", false, "keep the identity in a file of its own beside auth.json, and leave that unwritten")
	f.BoolVar(&b.unlocked, "without-locks", false, "take no locks of files: where the file system has none, and no other process uses the file")
	f.StringVar(&b.jwtFile, "jwt-file", "", "in place of --auth-file, a file with an identity JWT")
	f.StringVar(&b.baseURL, baseURLFlag, defaultBaseURL, "the backend's base URL")
	f.BoolVar(&b.allowHTTP, "allow-http", false, "allow http for another machine: whoever is on the way can read the user's token")
	f.StringArrayVar(&b.trusted, "trust-host", nil, "count this host as supported (can be given again)")
	f.BoolVar(&b.off, "no-agent-identity", false, "turn the feature off: bearer for every call")
	f.BoolVar(&b.strict, "strict", false, "where a call is to carry an assertion, that or an error, and never the bearer token in its place")
	f.StringVar(&b.profile, "profile", "biscuit", "the form of the protocol: biscuit, auth-api (what clients do today) or instances (runtime agent instances)")
	f.StringVar(&b.authAPIURL, "auth-api-url", "", "where --profile auth-api and instances register (default: that of the public backends, none for others)")
	f.BoolVar(&b.allSurfaces, "all-surfaces", false, "with --profile auth-api: have calls on all surfaces assert, not only those to responses")
	f.BoolVar(&b.routing, "workspace-routing", false, "ask the backend where the workspace's calls to responses go, as clients from 0.156 on do")
	f.StringArrayVar(&b.workspaces, "forced-workspace-id", nil, "the account to use in place of the signed-in one; given again, one of these it has to be")
	f.StringVar(&b.headerMode, "header-mode", wire.HeaderModeDual, "with --profile instances: dual_header or assertion_only")
	f.StringVar(&b.installationID, "installation-id", "", "with --profile instances: the installation's id (default: the file installation_id beside auth.json)")
	for _, name := range []string{"base-url", "upstream"} { // so that a proxy's file is of use to the others
		if name != baseURLFlag {
			settings.Elsewhere(f.Lookup(baseURLFlag), name)
		}
	}
	b.kept.register(cmd)
	signIns := append([]string{"auth-file", "jwt-file", "keyring-home"}, others...)
	cmd.MarkFlagsMutuallyExclusive(signIns...)
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error { return chooseSignIn(cmd.Flags(), signIns) }
	cmd.MarkFlagsMutuallyExclusive("strict", "no-agent-identity")
	for _, name := range []string{"jwt-file", "identity-beside", "without-locks"} {
		cmd.MarkFlagsMutuallyExclusive("store", name) // of what these are about nothing is written
	}
	must(cmd.MarkFlagDirname("keyring-home"))
	must(cmd.MarkFlagFilename("auth-file", "json"))
	must(cmd.MarkFlagFilename("jwt-file"))
	must(cmd.RegisterFlagCompletionFunc("profile", cobra.FixedCompletions(profileNames, cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.RegisterFlagCompletionFunc("header-mode", cobra.FixedCompletions(headerModes, cobra.ShellCompDirectiveNoFileComp)))
	completeNothing(cmd, baseURLFlag, "trust-host", "auth-api-url", "forced-workspace-id", "installation-id")
}

// completeNothing keeps the shell from offering files for flags that take none.
func completeNothing(cmd *cobra.Command, flags ...string) {
	for _, name := range flags {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
}

// file is the auth.json, or nil where there is something in its place.
func (b *backendOptions) file() *authfile.File {
	if b.authFile == "" {
		return nil
	}
	file := authfile.New(b.authFile)
	file.Beside, file.WithoutLocks = b.beside, b.unlocked
	return file
}

// open returns a manager, and what closes it, as closeManager does, and its store. Change may change the
// configuration.
func (b *backendOptions) open(ctx context.Context, e host.Engine, client *http.Client, change func(*host.ManagerConfig)) (m *host.Manager, done func(*error), err error) {
	c, closeStore, err := b.config(ctx, e, client)
	if err != nil {
		return nil, nil, err
	}
	if change != nil {
		change(&c)
	}
	if m, err = b.newManager(c); err != nil {
		closeStore()
		return nil, nil, err
	}
	return m, func(err *error) {
		closeManager(m, err)
		closeStore()
	}, nil
}

// newManager is host.NewManager, for what the flags say.
func (b *backendOptions) newManager(c host.ManagerConfig) (*host.Manager, error) {
	m, err := host.NewManager(c)
	return m, b.ofFlag(argument(err, core.CodeInvalidTrustedHost))
}

// ofFlag has an error about the base URL name the flag, and be about usage.
func (b *backendOptions) ofFlag(err error) error {
	if code := core.Code(err); code == core.CodeInvalidBaseURL || code == host.CodeInsecureBaseURL {
		return usage(fmt.Errorf("--%s: %w", b.baseURLFlag, err))
	}
	return err
}

// config returns a manager's configuration, and what closes its store.
func (b *backendOptions) config(ctx context.Context, e host.Engine, client *http.Client) (c host.ManagerConfig, closeStore func(), err error) {
	if c, err = b.settings(e, client); err != nil {
		return host.ManagerConfig{}, nil, err
	}
	if closeStore, err = b.identify(ctx, &c); err != nil {
		return host.ManagerConfig{}, nil, b.ofFlag(err)
	}
	return c, closeStore, nil
}

// settings returns a configuration that does not say yet whose calls it is for.
func (b *backendOptions) settings(e host.Engine, client *http.Client) (host.ManagerConfig, error) {
	profile, ok := profiles[b.profile]
	if !ok {
		return host.ManagerConfig{}, usage(fmt.Errorf("--profile is biscuit, auth-api or instances, not %q", b.profile))
	}
	instance, err := b.instance()
	if err != nil {
		return host.ManagerConfig{}, err
	}
	return host.ManagerConfig{
		Engine:        e,
		BaseURL:       b.baseURL,
		AllowHTTP:     b.allowHTTP,
		AgentIdentity: !b.off,
		Strict:        b.strict,
		Logger:        slog.New(slog.DiscardHandler), // commands say it themselves
		TrustedHosts:  b.trusted,
		ABOM:          abom(),
		Profile:       profile,
		AuthAPIURL:    b.authAPIURL,
		AllSurfaces:   b.allSurfaces,
		Instance:      instance,
		HTTPClient:    client,

		ForcedWorkspaceIDs: b.workspaces,
		WorkspaceRouting:   b.routing,
	}, nil
}

// identify says in a configuration who is signed in, and where the identity is kept. What
// it returns closes that.
func (b *backendOptions) identify(ctx context.Context, c *host.ManagerConfig) (closeStore func(), err error) {
	closeStore = func() {}
	if b.keyringHome != "" {
		credentials, err := keyringstore.NewClientCredentials(b.keyringHome, 0)
		if err != nil {
			return nil, usage(err)
		}
		c.Credentials = credentials
		if b.kept.store == "" {
			c.Store, err = keyringstore.Open(ctx, keyringstore.Config{Account: strings.ReplaceAll(credentials.Account, "|", "-")})
			return closeStore, err
		}
	} else {
		token, err := b.identityJWT(ctx)
		switch {
		case err != nil:
			return nil, err
		case token != "" && b.kept.store != "":
			return nil, usage(errors.New("the identity in auth.json is a JWT, of which nothing is kept anywhere; do without --store"))
		case token != "":
			identity, err := identityjwt.Verify(ctx, token, identityjwt.Options{BaseURL: b.baseURL, HTTPClient: c.HTTPClient, AllowHTTP: b.allowHTTP})
			c.JWTIdentity = &identity
			return closeStore, err
		}
		file := b.file()
		c.Store, c.Credentials = file, file
	}
	if b.kept.given() {
		c.Store, closeStore, err = b.kept.open(ctx)
	}
	return closeStore, err
}

// instance is what runtime agent instances are registered with, or nil in another
// profile.
func (b *backendOptions) instance() (*host.InstanceConfig, error) {
	if profiles[b.profile] != wire.ProfileInstances {
		return nil, nil
	}
	if !slices.Contains(headerModes, b.headerMode) {
		return nil, usage(fmt.Errorf("--header-mode is dual_header or assertion_only, not %q", b.headerMode))
	}
	id := b.installationID
	if id == "" {
		home := b.keyringHome
		if b.authFile != "" {
			home = filepath.Dir(b.authFile)
		}
		text, err := os.ReadFile(filepath.Join(home, "installation_id"))
		if err != nil || home == "" {
			return nil, usage(errors.New("--profile instances needs the installation's id, and there is no file installation_id beside auth.json; give --installation-id"))
		}
		id = strings.TrimSpace(string(text))
	}
	return &host.InstanceConfig{HeaderMode: b.headerMode, InstallationID: id, Harness: "agentassert", Role: "orchestrator"}, nil
}

// identityJWT returns the JWT in --jwt-file; or the one that a later client has
// left in auth.json, for that client's profile, or where it takes the place of a
// sign-in. Without one it is empty.
func (b *backendOptions) identityJWT(ctx context.Context) (string, error) {
	if file := b.file(); file != nil {
		if profiles[b.profile] == wire.ProfileAuthAPI {
			return file.IdentityJWT(ctx)
		}
		c, err := file.Credentials(ctx)
		if err != nil || c.Problem == nil || c.Problem.Code != core.CodeIdentityJWTSignIn {
			return "", nil // what is wrong with the file, the first call tells
		}
		return file.IdentityJWT(ctx)
	}
	f, err := os.Open(b.jwtFile)
	if err != nil {
		return "", fmt.Errorf("the JWT's file cannot be opened: %w", err)
	}
	defer f.Close()
	token, err := io.ReadAll(io.LimitReader(f, maxArgumentFile))
	if err != nil {
		return "", fmt.Errorf("the JWT's file cannot be read: %w", err)
	}
	if len(strings.TrimSpace(string(token))) == 0 {
		return "", errors.New("the JWT's file is empty")
	}
	return strings.TrimSpace(string(token)), nil
}

// abom is the tool's own.
func abom() host.ABOM {
	return host.ABOM{
		AgentVersion:    toolVersion(),
		AgentHarnessID:  "agentassert",
		RunningLocation: "cli-" + runtime.GOOS,
	}
}
