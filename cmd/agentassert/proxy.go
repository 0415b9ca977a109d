package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/proxy"
)

// proxyFlags are the command's.
type proxyFlags struct {
	backendOptions
	listen, thread                 string
	tokenFrom, tokenFile, addrFile string
	accounts, accountHeader        string
	accountTokens                  bool
	remote                         bool
}

func newProxy(o *engineOptions) *cobra.Command {
	var flags proxyFlags
	cmd := &cobra.Command{
		Use:   "proxy [--listen ADDR] [--upstream URL] [--auth-file FILE | --accounts DIR]",
		Short: "Serve a reverse proxy that authorizes what passes",
		Long: `Serve a reverse proxy that authorizes whatever passes, until interrupted, for
programs that embed nothing: /x/y goes to the upstream's base URL and /x/y.
Bodies are streamed both ways, server-sent events and WebSockets included.

Callers prove that they may use it with a token, made anew at each start: they
send it in ` + proxy.TokenHeader + `, or as an API key, in "Authorization: Bearer".
It is printed on standard error, or written to --token-file, for you alone to
read; both files go when the proxy ends. Or it is your own, in --token-from: a
line of at least 32 random characters, in a file that only its owner can read.
Whoever has it can spend the user's identity. On a command line every program
of the machine could read it; the example has curl read it from standard input.

--listen takes a loopback address; a name, for every address that it has; or
unix:PATH, a socket that only your user can connect to, and still with the token.

A caller gets one call, and nothing that outlives it. Authorization, account and
FedRAMP header are replaced, and cookies, biscuits and other credentials pass
neither way. The paths of biscuits and registrations, TRACE and TRACK are
refused; header fields that would make another request of it are removed, and
so is the offer of any protocol but WebSocket.

Callers without the token are answered and cut off, and cannot keep the others
out, however many connections they open.

--accounts serves many users: DIR/NAME/auth.json is the sign-in of the account NAME,
and what is kept for it is beside that. With --account-header callers send the proxy's
token, and name the account in that field; whoever has the token can call as any of
them. With --account-tokens each account has a token of its own, in DIR/NAME/token:
the name, a dot, and random characters, in a file that only its owner can read; it
takes the place of the proxy's. Accounts come and go, and tokens change, with their
files. No link is followed out of an account's folder.

Calls in a conversation use one that is the run's own, or --thread; a caller
names another in ` + proxy.ThreadHeader + `, and gets the same task for it after a
restart. The run's own is another for an account that nobody has called for ten minutes.

When the upstream answers 401 to an assertion, its task is replaced, and the
request is sent once more if its length is known and at most 1 MiB; of others
the caller gets the 401, and the next one works.

Errors of the proxy's own are {"error":{"code","message"}}: 400, 401, 403 and 405
for what a caller has to change, 503 for what can pass, 502 for anything else.
Standard error says once when calls begin to carry the bearer token in place of an
assertion; with --strict they get 503.

` + storeHelp + `

` + environmentHelp,
		Example: "  agentassert proxy --listen 127.0.0.1:8081 --upstream https://chatgpt.com/backend-api --auth-file ~/.codex/auth.json --token-file token\n" +
			"  sed 's/^/" + proxy.TokenHeader + ": /' token | curl -H @- http://127.0.0.1:8081/codex/models\n" +
			"  (umask 077; echo \"alice.$(openssl rand -hex 32)\" > accounts/alice/token)\n" +
			"  agentassert proxy --listen 127.0.0.1:8081 --upstream https://chatgpt.com/backend-api --accounts accounts --account-tokens",
		Args: noArguments,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			return o.withEngine(cmd.Context(), func(e host.Engine) error {
				return flags.run(cmd.Context(), e, cmd.ErrOrStderr())
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&flags.listen, "listen", "127.0.0.1:8081", "the loopback address to listen on, or unix:PATH; port 0 takes a free one")
	f.StringVar(&flags.thread, "thread", "", "the conversation of calls that name none (default: one of the run's own)")
	f.StringVar(&flags.tokenFrom, "token-from", "", "take the token from this file, which only its owner can read, and do not make one")
	f.StringVar(&flags.tokenFile, "token-file", "", "write the token to this file, before --addr-file, and do not print it")
	f.StringVar(&flags.addrFile, "addr-file", "", "write the address to this file once it listens")
	f.StringVar(&flags.accounts, "accounts", "", "in place of --auth-file, a folder with one below it for each account, which has the account's auth.json")
	f.StringVar(&flags.accountHeader, "account-header", "", "with --accounts: the field, such as X-Account, in which callers with the proxy's token name the account")
	f.BoolVar(&flags.accountTokens, "account-tokens", false, "with --accounts: each account has a token of its own, in the file token beside auth.json")
	f.BoolVar(&flags.remote, "allow-remote", false, "listen on any address and under any host name; there is no TLS")
	flags.register(cmd, "upstream", "accounts")
	cmd.MarkFlagsMutuallyExclusive("token-from", "token-file", "account-tokens")
	cmd.MarkFlagsMutuallyExclusive("account-header", "account-tokens")
	cmd.MarkFlagsMutuallyExclusive("accounts", "store")
	must(cmd.MarkFlagDirname("accounts"))
	for _, name := range []string{"token-from", "token-file", "addr-file"} {
		must(cmd.MarkFlagFilename(name))
	}
	completeNothing(cmd, "listen", "thread", "account-header")
	return cmd
}

// run serves until the context ends.
func (f *proxyFlags) run(ctx context.Context, e host.Engine, stderr io.Writer) (err error) {
	at, err := parseEndpoint(ctx, f.listen, f.remote, net.DefaultResolver.LookupNetIP)
	if err != nil {
		return err
	}
	token := rand.Text()
	if f.tokenFrom != "" {
		if token, err = proxy.ReadToken(f.tokenFrom); err != nil {
			return err
		}
	}
	transport, err := upstreamTransport()
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	log := slog.New(proxy.CountRepeats(slog.NewTextHandler(stderr, nil)))
	served, done, err := f.serving(ctx, e, &http.Client{Transport: transport}, token, log)
	if err != nil {
		return err
	}
	defer done(&err)
	config := proxy.Config{Setup: served.Setup, Logger: log, Hosts: at.allowsHost, Grace: shutdownTimeout}
	config.Transport = transport
	if f.remote || at.socket != "" { // no web page reaches a socket
		config.Hosts = proxy.AnyHost
	}
	p, err := proxy.New(config)
	if err != nil {
		return err
	}
	listeners, address, err := at.open(ctx, new(net.ListenConfig).Listen)
	if err != nil {
		return err
	}
	// Nothing can fail after them but they themselves.
	var files runFiles
	defer func() { err = errors.Join(err, files.remove()) }()
	if err := f.writeFiles(&files, token, address); err != nil {
		return errors.Join(err, closeAll(listeners))
	}
	where := address
	if at.socket == "" {
		where = "http://" + address
	}
	said := fmt.Sprintf("agentassert: serving %s at %s%s; interrupt to end\n", served.BaseURL, where, served.whom)
	if f.tokenFile == "" && f.tokenFrom == "" && !f.accountTokens {
		said += fmt.Sprintf("agentassert: callers send the header %s: %s\n", proxy.TokenHeader, token)
	}
	fmt.Fprint(stderr, said)
	for _, line := range served.said {
		fmt.Fprintln(stderr, "agentassert:", line)
	}
	return p.Serve(ctx, listeners...)
}

// writeFiles writes what others wait for; the address comes last.
func (f *proxyFlags) writeFiles(files *runFiles, token, address string) error {
	if f.tokenFile != "" {
		if err := files.write(f.tokenFile, token, 0o600); err != nil {
			return fmt.Errorf("the token cannot be written: %w", err)
		}
	}
	if f.addrFile != "" {
		if err := files.write(f.addrFile, address, 0o644); err != nil {
			return fmt.Errorf("the address cannot be written: %w", err)
		}
	}
	return nil
}

// upstreamTransport is the tool's.
func upstreamTransport() (*http.Transport, error) {
	t := proxy.NewTransport()
	return t, fromEnvironment(t)
}
