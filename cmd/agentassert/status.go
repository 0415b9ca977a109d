package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/proxy"
)

func newStatus(o *engineOptions) *cobra.Command {
	var backend backendOptions
	var threads []string
	var asJSON bool
	var folder string
	cmd := &cobra.Command{
		Use:   "status [--auth-file FILE | --accounts DIR] [--base-url URL] [--thread ID] [--json]",
		Short: "Show what every kind of call would carry, and why",
		Long: `Show for every surface what a call would carry now, and why; how old the identity
and the tasks are; and until when a failed registration is not tried again.

Reads the files, and nothing more: registers nothing, sends nothing, writes
nothing; with --jwt-file it fetches the backend's keys. The exit code is 0 if it could
be told, whatever the answer.

--json prints one object: base_url, at, and surfaces, an array of objects with
  surface, scope     the kind of call, and whose task it uses
  thread             the conversation, where --thread names one
  mode, reason       what the call would carry, and why
  registers          true where that has to be registered first
  account_id, agent_runtime_id, task_id, runtime_agent_instance
                     the account of the call, who asserts, and on which task
  identity_registered_at, task_registered_at
                     left out where the files do not say, as they never do for
                     a background task
  identity_replaced_at
                     when it took the place of one that the backend no longer knew
  retry_at           until when a failed registration is not tried again
  cause              what failed: code, message
  notice             what to know although nothing failed: code, message
Times are RFC 3339, UTC. From thread on, what has no value is left out, except
mode, reason and registers.

--accounts shows it for each account of the proxy's folder of that name; --json then
prints one object: accounts, an array of such objects with an account, the name, and
for one that cannot be used an error, in place of the rest.

` + storeHelp + `

` + environmentHelp,
		Example: "  agentassert status --auth-file ~/.codex/auth.json --base-url https://chatgpt.com/backend-api\n" +
			"  agentassert status --auth-file ~/.codex/auth.json --base-url https://chatgpt.com/backend-api --json | jq '.surfaces[] | select(.registers)'",
		Args: noArguments,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			return o.withEngine(cmd.Context(), func(e host.Engine) (err error) {
				transport, err := newTransport()
				if err != nil {
					return err
				}
				defer transport.CloseIdleConnections()
				client := &http.Client{Transport: transport}
				if folder != "" {
					return statusOfAccounts(cmd, backend, e, client, folder, threads, asJSON)
				}
				s, err := backend.status(cmd.Context(), e, client, threads)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), newStatusReport(s))
				}
				return printStatus(cmd.OutOrStdout(), s)
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&folder, "accounts", "", "in place of --auth-file, the folder that a proxy's --accounts names")
	backend.register(cmd, "base-url", "accounts")
	cmd.MarkFlagsMutuallyExclusive("accounts", "store")
	must(cmd.MarkFlagDirname("accounts"))
	f.StringArrayVar(&threads, "thread", nil, "the conversation to tell of; none: a new one (can be given again)")
	f.BoolVar(&asJSON, "json", false, "print JSON, as described above")
	completeNothing(cmd, "thread")
	return cmd
}

// status returns the status of whom the flags are about.
func (b *backendOptions) status(ctx context.Context, e host.Engine, client *http.Client, threads []string) (s host.Status, err error) {
	m, done, err := b.open(ctx, e, client, nil)
	if err != nil {
		return host.Status{}, err
	}
	defer done(&err)
	s, err = m.Status(ctx, threads...)
	return s, argument(err, core.CodeInvalidThreadID)
}

// accountReport is one account's status, or why there is none.
type accountReport struct {
	Account string `json:"account"`
	*statusReport
	Error *cause `json:"error,omitempty"`
}

// statusOfAccounts prints the status of each account in a folder. That one cannot be used
// keeps none of the others from being shown.
func statusOfAccounts(cmd *cobra.Command, b backendOptions, e host.Engine, client *http.Client, folder string, threads []string, asJSON bool) error {
	all, err := openAccounts(folder)
	if err != nil {
		return err
	}
	names, err := all.List()
	if err != nil {
		return err
	}
	reports, wrong := []accountReport{}, 0
	for _, name := range names {
		report := accountReport{Account: name}
		var s host.Status
		b.authFile, err = all.AuthFile(name)
		if err == nil {
			s, err = b.status(cmd.Context(), e, client, threads)
		}
		if o := (*outcome)(nil); errors.As(err, &o) && o.code == exitUsage {
			return err // it is the same for all
		}
		if err != nil {
			wrong++
			report.Error = &cause{core.Code(err), oneLine(err)}
			if errors.Is(err, proxy.ErrUnknownAccount) {
				report.Error.Code = proxy.CodeUnknownAccount
			}
		} else {
			ofAccount := newStatusReport(s)
			report.statusReport = &ofAccount
		}
		if asJSON {
			reports = append(reports, report)
			continue
		}
		if err := printAccount(cmd.OutOrStdout(), name, s, report.Error); err != nil {
			return err
		}
	}
	if asJSON {
		if err := printJSON(cmd.OutOrStdout(), struct {
			Accounts []accountReport `json:"accounts"`
		}{reports}); err != nil {
			return err
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d accounts cannot be used", wrong, len(names))
	}
	return nil
}

// printAccount writes an account's table, or why there is none, below its name.
func printAccount(w io.Writer, name string, s host.Status, failure *cause) error {
	if failure != nil {
		_, err := fmt.Fprintf(w, "%.140q: %s\n\n", name, failure.Message)
		return err
	}
	if _, err := fmt.Fprintf(w, "%s: ", name); err != nil {
		return err
	}
	if err := printStatus(w, s); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

type statusReport struct {
	BaseURL  string      `json:"base_url"`
	At       time.Time   `json:"at"`
	Surfaces []statusRow `json:"surfaces"`
}

type statusRow struct {
	Surface              string     `json:"surface"`
	Scope                core.Scope `json:"scope"`
	Thread               string     `json:"thread,omitempty"`
	Mode                 string     `json:"mode"`
	Reason               string     `json:"reason"`
	Registers            bool       `json:"registers"`
	AccountID            string     `json:"account_id,omitempty"`
	AgentRuntimeID       string     `json:"agent_runtime_id,omitempty"`
	TaskID               string     `json:"task_id,omitempty"`
	RuntimeAgentInstance string     `json:"runtime_agent_instance,omitempty"`
	IdentityRegisteredAt time.Time  `json:"identity_registered_at,omitzero"`
	IdentityReplacedAt   time.Time  `json:"identity_replaced_at,omitzero"`
	TaskRegisteredAt     time.Time  `json:"task_registered_at,omitzero"`
	RetryAt              time.Time  `json:"retry_at,omitzero"`
	Cause                *cause     `json:"cause,omitempty"`
	Notice               *cause     `json:"notice,omitempty"`
}

func newStatusReport(s host.Status) statusReport {
	report := statusReport{BaseURL: s.BaseURL, At: s.At}
	for _, r := range s.Surfaces {
		row := statusRow{
			Surface: r.Surface, Scope: r.Scope, Thread: r.Thread, Mode: r.Mode, Reason: r.Reason, Registers: r.Registers,
			AccountID: r.AccountID, AgentRuntimeID: r.AgentRuntimeID, TaskID: r.TaskID, RuntimeAgentInstance: r.RuntimeAgentInstance,
			IdentityRegisteredAt: r.IdentityRegisteredAt, IdentityReplacedAt: r.IdentityReplacedAt, TaskRegisteredAt: r.TaskRegisteredAt, RetryAt: r.RetryAt,
		}
		if r.Cause != nil {
			row.Cause = &cause{core.Code(r.Cause), oneLine(r.Cause)}
		}
		if r.Notice != nil {
			row.Notice = &cause{core.Code(r.Notice), oneLine(r.Notice)}
		}
		report.Surfaces = append(report.Surfaces, row)
	}
	return report
}

// printStatus writes a table, and below it once each what several rows share.
func printStatus(w io.Writer, s host.Status) error {
	fmt.Fprintf(w, "%s, at %s\n\n", s.BaseURL, s.At.Format(time.RFC3339))
	look := styleOf(w)
	var t table
	t.heading(look, "SURFACE", "SCOPE", "MODE", "REASON", "AGENT", "TASK")
	var notes []string
	for _, r := range s.Surfaces {
		scope := string(r.Scope)
		if r.Thread != "" {
			scope += " " + r.Thread
		}
		task := dash(r.TaskID)
		if r.Registers {
			task = "(registered by the first call)"
		}
		t.row(cell{text: r.Surface}, cell{text: scope}, cell{r.Mode, look.ofMode(r.Mode, r.Scope)}, cell{text: r.Reason}, cell{text: dash(r.AgentRuntimeID)}, cell{text: task})
		for _, n := range statusNotes(s.At, r) {
			if !slices.Contains(notes, n) {
				notes = append(notes, n)
			}
		}
	}
	if err := t.print(w); err != nil {
		return err
	}
	if len(notes) > 0 {
		notes = append([]string{""}, notes...)
	}
	for _, n := range notes {
		if _, err := fmt.Fprintln(w, n); err != nil {
			return err
		}
	}
	return nil
}

// statusNotes are what there is no room for in a row.
func statusNotes(at time.Time, r host.SurfaceStatus) (notes []string) {
	if !r.IdentityReplacedAt.IsZero() {
		notes = append(notes, fmt.Sprintf("agent %s: took the place of one that the backend no longer knew %s", r.AgentRuntimeID, when(r.IdentityReplacedAt, at)))
	}
	if !r.IdentityRegisteredAt.IsZero() {
		notes = append(notes, fmt.Sprintf("agent %s: registered %s", r.AgentRuntimeID, when(r.IdentityRegisteredAt, at)))
	}
	switch {
	case !r.TaskRegisteredAt.IsZero():
		notes = append(notes, fmt.Sprintf("task %s: registered %s", r.TaskID, when(r.TaskRegisteredAt, at)))
	case r.TaskID != "":
		notes = append(notes, fmt.Sprintf("task %s: at most as old as its agent; when it was registered is not kept", r.TaskID))
	}
	if r.Scope != core.ScopeBearerOnly || r.Cause != nil {
		notes = append(notes, said(r.Mode, r.Reason, r.Cause, r.Notice)...)
	}
	if !r.RetryAt.IsZero() {
		notes = append(notes, fmt.Sprintf("%s, scope %s: registration is tried again %s", r.Reason, r.Scope, when(r.RetryAt, at)))
	}
	return notes
}

// when is a time, absolute and as seen from another.
func when(t, now time.Time) string {
	absolute := t.Format(time.RFC3339)
	if t.After(now) {
		return absolute + ", in " + span(t.Sub(now))
	}
	return absolute + ", " + span(now.Sub(t)) + " ago"
}

// span rounds down to the two largest units, of days, hours, minutes and seconds.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	two := func(large, small time.Duration, names string) string {
		s := fmt.Sprintf("%d%c", d/large, names[0])
		if rest := d % large / small; rest > 0 {
			s += fmt.Sprintf(" %d%c", rest, names[1])
		}
		return s
	}
	switch {
	case d >= day:
		return two(day, time.Hour, "dh")
	case d >= time.Hour:
		return two(time.Hour, time.Minute, "hm")
	case d >= time.Minute:
		return two(time.Minute, time.Second, "ms")
	}
	return fmt.Sprintf("%ds", d/time.Second)
}
