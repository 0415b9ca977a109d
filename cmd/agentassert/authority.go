package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/authority"
)

const (
	// headerTimeout and idleTimeout keep a client from holding a connection for
	// nothing.
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	// shutdownTimeout is how long requests under way get when it ends.
	shutdownTimeout = 5 * time.Second
)

// authorityFlags are the command's.
type authorityFlags struct {
	listen, logFile, addrFile string
	authFile, jwtFile         string
	account, user             string
	taskResponse              string
	anyBearer, fedRAMP        bool
	replace, json             bool
}

func newAuthority() *cobra.Command {
	var flags authorityFlags
	cmd := &cobra.Command{
		Use:        "authority --listen ADDR",
		SuggestFor: []string{"backend", "server", "serve"},
		Short:      "Serve a backend that registers agents and verifies assertions",
		Long: `Serve the backend's side of the protocol, in memory, until interrupted: biscuits,
registrations, and every other path, which answers with what it authenticated.

--auth-file-out writes an auth.json that is signed in with it, for you alone to read,
for as long as it runs. One of an earlier run is replaced, whatever else is in the
file's place is not.

The base URL is http://ADDR/backend-api. It answers absolute-form requests, so an
unmodified client can be given it as HTTP_PROXY; such a client brings its own
access token, which --accept-any-bearer accepts.

Clients from 0.132 on, of the profile auth-api, register at http://ADDR/api/accounts.
They can be given an identity as a JWT, in CODEX_ACCESS_TOKEN: --jwt-out writes
one. It holds a private key; only you can read the file. Runtime agent instances, of
0.169 and later, register at http://ADDR/agent/register; where the client's base URL
is https, it needs a proxy that takes CONNECT and ends TLS before this.

What it holds and logs is bounded. An account has at most 1,000 identities, 10,000
tasks and 1,000 biscuits, all accounts ten times as many. The log has at most 100
lines a second for each account, and for all that proves none, and 1,000 in all;
{"time":…,"left_out":…} says how many requests of a second are not in it.

--json prints one object in one line once it listens, and nothing else:
  address       where it listens
  base_url      for --base-url of other commands, from this machine
  auth_api_url  for their --auth-api-url
  trust_host    for their --trust-host
  auth_file     what --auth-file-out says, if it does
  jwt_file      what --jwt-out says, if it does`,
		Example: "  agentassert authority --listen 127.0.0.1:8080 --auth-file-out auth.json\n" +
			"  agentassert authority --listen 127.0.0.1:8080 --accept-any-bearer --log requests.jsonl\n" +
			"  agentassert authority --listen 127.0.0.1:8080 --jwt-out identity.jwt --account account-2 --user user-2",
		Args: noArguments,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			f := cmd.Flags()
			if f.Changed("replace-auth-file") && flags.authFile == "" {
				return usage(errors.New("--replace-auth-file is for --auth-file-out, which is not given"))
			}
			if (f.Changed("account") || f.Changed("user")) && flags.authFile == "" && flags.jwtFile == "" {
				return usage(errors.New("--account and --user are for --auth-file-out and --jwt-out, and neither is given"))
			}
			return flags.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		}),
	}
	f := cmd.Flags()
	f.StringVar(&flags.listen, "listen", "", "the address to listen on, such as 127.0.0.1:8080; port 0 takes a free one")
	f.StringVar(&flags.logFile, "log", "", "append one JSON object per request to this file, within bounds")
	f.BoolVar(&flags.anyBearer, "accept-any-bearer", false, "accept every access token")
	f.StringVar(&flags.addrFile, "addr-file", "", "write the address to this file once it listens")
	f.StringVar(&flags.jwtFile, "jwt-out", "", "write the signed JWT of a new agent identity to this file at start, before --addr-file")
	f.StringVar(&flags.authFile, "auth-file-out", "", "write an auth.json that is signed in to this file at start, before --addr-file")
	f.BoolVar(&flags.replace, "replace-auth-file", false, "replace what is in --auth-file-out, whatever it is")
	f.StringVar(&flags.account, "account", "account-1", "the account in --auth-file-out and --jwt-out")
	f.StringVar(&flags.user, "user", "user-1", "the user in --auth-file-out and --jwt-out")
	f.StringVar(&flags.taskResponse, "task-response", string(authority.TaskResponseSealed),
		"how a task registration of the profile auth-api answers: task_id, taskId, encrypted_task_id or encryptedTaskId")
	f.BoolVar(&flags.fedRAMP, "fedramp", false, "every account is a FedRAMP one, whose calls must carry X-OpenAI-Fedramp: true")
	f.BoolVar(&flags.json, "json", false, "say where it listens as JSON on standard output, as described above")
	must(cmd.MarkFlagRequired("listen"))
	for _, name := range []string{"log", "addr-file", "auth-file-out", "jwt-out"} {
		must(cmd.MarkFlagFilename(name))
	}
	completeNothing(cmd, "listen", "account", "user")
	must(cmd.RegisterFlagCompletionFunc("task-response", cobra.FixedCompletions(taskResponseNames(), cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

func taskResponseNames() []string {
	var names []string
	for _, r := range authority.TaskResponses() {
		names = append(names, string(r))
	}
	return names
}

// run serves until the context ends.
func (f *authorityFlags) run(ctx context.Context, stdout, stderr io.Writer) error {
	if !slices.Contains(taskResponseNames(), f.taskResponse) {
		return usage(fmt.Errorf("--task-response is one of %q, not %q", taskResponseNames(), f.taskResponse))
	}
	if f.account == "" || f.user == "" {
		return usage(errors.New("--account and --user are not empty: a client accepts no sign-in and no identity without them"))
	}
	log := io.Discard
	if f.logFile != "" {
		file, err := os.OpenFile(f.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("the log cannot be written: %w", err)
		}
		defer file.Close()
		log = file
	}
	requests, err := authority.NewLog(log, authority.LogOptions{})
	if err != nil {
		return err
	}
	a, err := authority.New(authority.Options{
		AcceptAnyBearer: f.anyBearer,
		FedRAMP:         f.fedRAMP,
		TaskResponse:    authority.TaskResponse(f.taskResponse),
		Observe:         requests.Observe,
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", f.listen)
	if err != nil {
		return fmt.Errorf("cannot listen: %w; --listen is a host and a port, such as 127.0.0.1:8080, and port 0 takes a free one", err)
	}
	addr := listener.Addr().String()
	var files runFiles
	if err := f.writeFiles(ctx, &files, a, addr); err != nil {
		return errors.Join(err, files.remove(), listener.Close())
	}
	if err := f.announce(stdout, stderr, listener); err != nil {
		return errors.Join(err, files.remove(), listener.Close())
	}
	return errors.Join(serve(ctx, listener, a), requests.Close())
}

// authorityStart is where an authority serves, for those who start it.
type authorityStart struct {
	Address    string `json:"address"`
	BaseURL    string `json:"base_url"`
	AuthAPIURL string `json:"auth_api_url"`
	TrustHost  string `json:"trust_host"`
	AuthFile   string `json:"auth_file,omitempty"`
	JWTFile    string `json:"jwt_file,omitempty"`
}

// announce says where it serves.
func (f *authorityFlags) announce(stdout, stderr io.Writer, listener net.Listener) error {
	addr := listener.Addr().String()
	name, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(name); ip.IsUnspecified() {
		name = "127.0.0.1"
	}
	origin := "http://" + net.JoinHostPort(name, port)
	if f.json {
		return json.NewEncoder(stdout).Encode(authorityStart{addr, origin + "/backend-api", origin + "/api/accounts", name, f.authFile, f.jwtFile})
	}
	fmt.Fprintf(stderr, "agentassert: serving http://%s/backend-api, and http://%[1]s/api/accounts for the profile auth-api; interrupt to end\n", addr)
	if f.authFile != "" {
		fmt.Fprintf(stderr, "agentassert: %s is signed in with it; use it with --base-url %s/backend-api --trust-host %s\n", f.authFile, origin, name)
	}
	return nil
}

// writeFiles writes what others wait for; the address comes last.
func (f *authorityFlags) writeFiles(ctx context.Context, files *runFiles, a *authority.Authority, addr string) error {
	user := authority.User{AccountID: f.account, UserID: f.user}
	if f.authFile != "" {
		if err := writeAuthFile(ctx, files, f.authFile, a.SignInUser(user), f.replace); err != nil {
			return err
		}
	}
	if f.jwtFile != "" {
		jwt, err := a.IssueIdentityJWT(user)
		if err != nil {
			return err
		}
		if err := files.write(f.jwtFile, jwt, 0o600); err != nil {
			return fmt.Errorf("the identity cannot be written: %w", err)
		}
	}
	if f.addrFile != "" {
		if err := files.write(f.addrFile, addr, 0o644); err != nil {
			return fmt.Errorf("the address cannot be written: %w", err)
		}
	}
	return nil
}

// serve serves until the context ends, and lets requests under way finish.
func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, IdleTimeout: idleTimeout}
	stopped := make(chan error, 1)
	go func() { stopped <- s.Serve(l) }()
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := s.Shutdown(limited); err != nil {
		return errors.Join(err, s.Close())
	}
	if err := <-stopped; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
