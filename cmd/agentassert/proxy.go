package main

import (
	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/cmd/agentassert/internal/settings"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/proxy"
)

// proxyFlags are the command's.
type proxyFlags struct {
	backendOptions
	listen, thread                       string
	tokenFrom, tokenFile, addrFile       string
	accounts, accountHeader              string
	accountTokens                        bool
	remote                               bool
	operationsListen, operationsAddrFile string
	logFormat, logLevel                  string
	accessLog                            bool
}

func newProxy(o *engineOptions) *cobra.Command {
	cmd, _ := proxyCommand(o)
	return cmd
}

// proxyCommand returns the command, and what it keeps its flags in.
func proxyCommand(o *engineOptions) (*cobra.Command, *proxyFlags) {
	flags := &proxyFlags{}
	var printConfig bool
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

--listen takes a loopback address; a name, for every address that it has;
unix:PATH, a socket that only your user can connect to, and still with the token; or
systemd:, the sockets that systemd has opened for it (FileDescriptorName=proxy, or
the name after the colon). Who can connect to those is for the socket unit to say.

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

--operations-listen is for those who run it: /healthz says that it does, /readyz whether
calls can be authorized, and /metrics has counts for Prometheus. Nothing there is a
secret, no token is asked for, and nothing is forwarded; any address will do, systemd:
among them (FileDescriptorName=operations).

SIGHUP has it read everything anew, but for where it listens and the form of the log:
file, token, accounts, sign-in, the files with certificate authorities. Requests under
way end as they began. What cannot be used is said, and changes nothing. Windows has no
such signal; restart it there. systemd is told when it is ready, reloads and ends.

` + storeHelp + `

` + environmentHelp,
		Example: "  agentassert proxy --listen 127.0.0.1:8081 --upstream https://chatgpt.com/backend-api --auth-file ~/.codex/auth.json --token-file token\n" +
			"  sed 's/^/" + proxy.TokenHeader + ": /' token | curl -H @- http://127.0.0.1:8081/codex/models\n" +
			"  (umask 077; echo \"alice.$(openssl rand -hex 32)\" > accounts/alice/token)\n" +
			"  agentassert proxy --listen 127.0.0.1:8081 --upstream https://chatgpt.com/backend-api --accounts accounts --account-tokens",
		Args: noArguments,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			if printConfig {
				return settings.Print(cmd.OutOrStdout(), cmd, hidePassword)
			}
			// Before anything that takes long.
			hangups := listenForHangups()
			defer hangups.stop()
			return o.withEngine(cmd.Context(), func(e host.Engine) error { return flags.run(cmd, e, hangups) })
		}),
	}
	f := cmd.Flags()
	f.StringVar(&flags.listen, "listen", "127.0.0.1:8081", "the loopback address to listen on, unix:PATH or systemd:[NAME]; port 0 takes a free one")
	f.StringVar(&flags.thread, "thread", "", "the conversation of calls that name none (default: one of the run's own)")
	f.StringVar(&flags.tokenFrom, "token-from", "", "take the token from this file, which only its owner can read, and do not make one")
	f.StringVar(&flags.tokenFile, "token-file", "", "write the token to this file, before --addr-file, and do not print it")
	f.StringVar(&flags.addrFile, "addr-file", "", "write the address to this file once it listens")
	f.StringVar(&flags.accounts, "accounts", "", "in place of --auth-file, a folder with one below it for each account, which has the account's auth.json")
	f.StringVar(&flags.accountHeader, "account-header", "", "with --accounts: the field, such as X-Account, in which callers with the proxy's token name the account")
	f.BoolVar(&flags.accountTokens, "account-tokens", false, "with --accounts: each account has a token of its own, in the file token beside auth.json")
	f.BoolVar(&flags.remote, "allow-remote", false, "listen on any address and under any host name; there is no TLS")
	f.StringVar(&flags.operationsListen, "operations-listen", "", "serve /healthz, /readyz and /metrics at this address, which can be any, unix:PATH or systemd:[NAME]; without it they are served nowhere")
	f.StringVar(&flags.operationsAddrFile, "operations-addr-file", "", "write the address of --operations-listen to this file, before --addr-file")
	f.StringVar(&flags.logFormat, "log-format", "text", "how standard error is written: text or json")
	f.StringVar(&flags.logLevel, "log-level", "info", "what is said there: debug, info, warn or error, and what is worse")
	f.BoolVar(&flags.accessLog, "access-log", false, "say there of each request what became of it")
	f.BoolVar(&printConfig, "print-config", false, "print all settings in YAML, and where each is from, and do nothing else")
	flags.register(cmd, "upstream", "accounts")
	cmd.MarkFlagsMutuallyExclusive("token-from", "token-file", "account-tokens")
	cmd.MarkFlagsMutuallyExclusive("account-header", "account-tokens")
	cmd.MarkFlagsMutuallyExclusive("accounts", "store")
	must(cmd.MarkFlagDirname("accounts"))
	for _, name := range []string{"token-from", "token-file", "addr-file", "operations-addr-file"} {
		must(cmd.MarkFlagFilename(name))
	}
	completeNothing(cmd, "listen", "operations-listen", "thread", "account-header")
	must(cmd.RegisterFlagCompletionFunc("log-format", cobra.FixedCompletions(logFormats, cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.RegisterFlagCompletionFunc("log-level", cobra.FixedCompletions(logLevels, cobra.ShellCompDirectiveNoFileComp)))
	return cmd, flags
}

// hidePassword is for settings that are printed.
func hidePassword(name, value string) string {
	if name == "store" && hasPassword(value) {
		return "(has a password, which is not shown)"
	}
	return value
}
