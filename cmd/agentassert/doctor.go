package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/cmd/agentassert/internal/doctor"
	"github.com/agentassert/agentassert/host"
)

func newDoctor(o *engineOptions) *cobra.Command {
	var backend backendOptions
	var send, sendAssertion, asJSON bool
	var folder, upstream string
	cmd := &cobra.Command{
		Use:   "doctor [--auth-file FILE | --accounts DIR] [--base-url URL] [--send] [--json]",
		Short: "Look at all that calls depend on, and say what is wrong",
		Long: `Look at all that calls depend on, and say what is wrong and what to do: the auth.json,
who can read and write it, how it is mounted, who holds its locks and who is writing it;
what is kept beside it; the sign-in, the identity and what calls would carry; the client,
the clock, the base URL, proxies and certificate authorities, the folder for compiled
code and the sandbox; and with --store, the store.

Changes nothing: no file is made or written, and a lock is tried for an instant at most.
Sends nothing, unless told: --send makes a GET to the base URL, through the proxy that
calls would go through, and without a credential; and opens a store in PostgreSQL.
--send-assertion makes a second GET, to /codex/models, with an assertion and without the
bearer token, to see whether the backend still knows agent and task. The files of other
programs are looked at, and the programs not started.

A proxy's configuration says what to look at, too: --accounts is for each account in its
folder, and --upstream for a base URL that is not given.

A line for each finding: ok; note, which works and should be known; or problem. The exit
code is 0 if there is no problem, and 1 if there is one.

--json prints one object: ok, whether there is no problem, and findings, an array of
objects with
  check     what was looked at
  level     ok, note or problem
  message   how it is
  advice    what to do, left out where nothing is to be done

` + storeHelp + `

` + environmentHelp,
		Example: "  agentassert doctor --auth-file ~/.codex/auth.json --base-url https://chatgpt.com/backend-api\n" +
			"  agentassert doctor --auth-file ~/.codex/auth.json --base-url https://chatgpt.com/backend-api --send --json | jq '.findings[] | select(.level != \"ok\")'",
		Args: noArguments,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			if upstream != "" && !cmd.Flags().Changed("base-url") {
				backend.baseURL = upstream
			}
			subject, err := backend.subject(o, folder)
			if err != nil {
				return err
			}
			subject.Send, subject.SendAssertion = send || sendAssertion, sendAssertion
			report := doctor.Examine(cmd.Context(), subject)
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), report)
			} else {
				err = printReport(cmd.OutOrStdout(), report)
			}
			if err == nil && !report.OK {
				return answerNo(errors.New("there is a problem"))
			}
			return err
		}),
	}
	f := cmd.Flags()
	f.StringVar(&folder, "accounts", "", "in place of --auth-file, the folder that a proxy's --accounts names")
	backend.register(cmd, "base-url", "accounts")
	cmd.MarkFlagsMutuallyExclusive("accounts", "store")
	f.StringVar(&upstream, "upstream", "", "what a proxy's configuration calls the base URL, where --base-url is not given")
	must(cmd.MarkFlagDirname("accounts"))
	completeNothing(cmd, "upstream")
	f.BoolVar(&send, "send", false, "ask the backend, without a credential, and a store in PostgreSQL")
	f.BoolVar(&sendAssertion, "send-assertion", false, "--send, and a call with an assertion, which shows whether the backend knows the agent")
	f.BoolVar(&asJSON, "json", false, "print JSON, as described above")
	return cmd
}

// subject is what the flags are about.
func (b *backendOptions) subject(o *engineOptions, accounts string) (doctor.Subject, error) {
	s := doctor.Subject{
		AuthFile: b.authFile, KeyringHome: b.keyringHome, Beside: b.beside, WithoutLocks: b.unlocked,
		Sandbox: o.sandboxOptions(), Transport: newTransport, Said: said,
	}
	switch o.engine {
	case "native":
	case "sandbox":
		s.Start = startSandbox
	default:
		return doctor.Subject{}, o.unknown()
	}
	var err error
	if accounts != "" {
		if s.Accounts, s.AccountProblems, err = accountsIn(accounts); err != nil {
			return doctor.Subject{}, err
		}
	}
	// Of the core's answers none depends on what it runs in, and compiling it would leave
	// something in the cache.
	if s.Manager, err = b.settings(host.NewNative(), &http.Client{}); err != nil {
		return doctor.Subject{}, err
	}
	if b.kept.given() {
		s.Store = b.kept.subject()
	}
	return s, nil
}

// startSandbox starts one without a cache, and ends it.
func startSandbox(ctx context.Context) error {
	sandbox, err := host.NewSandbox(ctx, host.SandboxOptions{NoCache: true})
	if err != nil {
		return err
	}
	return sandbox.Close(ctx)
}

// accountsIn returns the accounts in a folder, and what is wrong with the others.
func accountsIn(folder string) (accounts []doctor.Account, problems []string, err error) {
	all, err := openAccounts(folder)
	if err != nil {
		return nil, nil, err
	}
	names, err := all.List()
	if err != nil {
		return nil, nil, err
	}
	accounts = []doctor.Account{}
	for _, name := range names {
		path, err := all.AuthFile(name)
		if err != nil {
			problems = append(problems, fmt.Sprintf("the account %.140q cannot be used: %s", name, oneLine(err)))
			continue
		}
		accounts = append(accounts, doctor.Account{Name: name, AuthFile: path})
	}
	return accounts, problems, nil
}

// subject is the store that the flags name.
func (s *storeOptions) subject() *doctor.Store {
	where, err := s.place()
	store := &doctor.Store{
		Err: err, File: where.file,
		Open: func(ctx context.Context) (host.Store, func(), error) { return s.open(ctx) },
	}
	if where.postgres != "" {
		store.Postgres = func() string { return where.postgres }
	}
	return store
}

// printReport writes a line for each finding, and below it what to do. On a terminal both
// go on below themselves.
func printReport(w io.Writer, report doctor.Report) error {
	s, t := styleOf(w), table{}
	broken := func(text string) []string { return []string{text} }
	if isTerminal(w) {
		levels, checks := 0, 0
		for _, f := range report.Findings {
			levels, checks = max(levels, len(f.Level)), max(checks, len(f.Check))
		}
		room := widthOf(w) - levels - checks - 2*columnGap
		broken = func(text string) []string { return words(text, room) }
	}
	count := map[string]int{}
	for _, f := range report.Findings {
		count[f.Level]++
		look := s.ok
		switch f.Level {
		case doctor.Note:
			look = s.warn
		case doctor.Problem:
			look = s.no
		}
		first := []cell{{f.Level, look}, {f.Check, s.strong}}
		for _, line := range broken(f.Message) {
			t.row(append(first, cell{text: line})...)
			first = []cell{{}, {}}
		}
		if f.Advice == "" {
			continue
		}
		for _, line := range broken("→ " + f.Advice) {
			t.row(cell{}, cell{}, cell{line, s.strong})
		}
	}
	if err := t.print(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s, %s\n", counted(count[doctor.Problem], "problem"), counted(count[doctor.Note], "note"))
	return err
}

// words breaks a text between words into lines of a width at the most, where no word is
// wider.
func words(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// counted is a number of things.
func counted(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
