package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
)

func newHeader(o *engineOptions) *cobra.Command {
	var backend backendOptions
	var surface string
	var asJSON bool
	cmd := &cobra.Command{
		Use:        "header [--auth-file FILE] [--base-url URL] [--surface NAME]",
		SuggestFor: []string{"authorize", "auth", "token"},
		Short:      "Print the Authorization header that a call should carry",
		Long: `Print the value of the Authorization header that a backend call should carry now.

Uses the identity and the background task in auth.json, and registers them first
if there are none; or, with --jwt-file, an identity that arrived as a JWT, whose
task is registered each time. With --profile instances a runtime agent instance is
registered each time, and its assertion is for one request; in header mode dual_header
both header fields are printed, with their names. Where the agent cannot be had, the
bearer token is printed, and standard error says why; where there is nothing to print,
and with --strict where it would be that token, the exit code is 1.

--json prints one object:
  mode, reason     what the call carries, and why
  header           the value of Authorization
  agent_assertion  that of X-OpenAI-Agent-Assertion, where both fields are sent
  account_id       the account of the call
  agent_runtime_id, task_id, runtime_agent_instance
                   who asserts, and on which task
  valid_until      until when it can be sent
  retry_at         until when a failed registration is not tried again
  cause            what failed: code, message
  notice           what to know although nothing failed: code, message
Times are RFC 3339, UTC. What has no value is empty, or left out from
agent_assertion and runtime_agent_instance to notice.

` + storeHelp + `

` + environmentHelp,
		Example: "  agentassert header --auth-file ~/.codex/auth.json --base-url https://chatgpt.com/backend-api --json\n" +
			"  agentassert header --auth-file auth.json --base-url http://127.0.0.1:8080/backend-api --trust-host 127.0.0.1 |\n" +
			"    sed 's/^/Authorization: /' | curl -H @- http://127.0.0.1:8080/backend-api/codex/models",
		Args: noArguments,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			return o.withEngine(cmd.Context(), func(e host.Engine) (err error) {
				transport, err := newTransport()
				if err != nil {
					return err
				}
				defer transport.CloseIdleConnections()
				m, done, err := backend.open(cmd.Context(), e, &http.Client{Transport: transport}, nil)
				if err != nil {
					return err
				}
				defer done(&err)
				a, err := m.Authorization(cmd.Context(), surface)
				if core.Code(err) == host.CodeNoAssertion {
					return answerNo(err)
				}
				if err != nil {
					return argument(err, core.CodeUnknownSurface, core.CodeThreadSurface)
				}
				return printAuthorization(cmd, a, asJSON)
			})
		}),
	}
	backend.register(cmd, "base-url")
	f := cmd.Flags()
	f.StringVar(&surface, "surface", core.SurfaceModels, "the kind of call")
	f.BoolVar(&asJSON, "json", false, "print JSON, as described above")
	// The scripts of those who had the command before every other had --json go on working.
	f.BoolVar(&asJSON, "explain", false, "the former name of --json")
	must(f.MarkHidden("explain"))
	must(cmd.RegisterFlagCompletionFunc("surface", cobra.FixedCompletions(surfaceNames(), cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

// surfaceNames are those that have a header without a thread.
func surfaceNames() (names []string) {
	for _, s := range core.Surfaces() {
		if s.Scope != core.ScopeThread {
			names = append(names, s.Name)
		}
	}
	return names
}

type headerReport struct {
	Mode                 string    `json:"mode"`
	Reason               string    `json:"reason"`
	Header               string    `json:"header"`
	AccountID            string    `json:"account_id"`
	AgentRuntimeID       string    `json:"agent_runtime_id"`
	TaskID               string    `json:"task_id"`
	AgentAssertion       string    `json:"agent_assertion,omitempty"`
	RuntimeAgentInstance string    `json:"runtime_agent_instance,omitempty"`
	ValidUntil           time.Time `json:"valid_until"`
	RetryAt              time.Time `json:"retry_at,omitzero"`
	Cause                *cause    `json:"cause,omitempty"`
	Notice               *cause    `json:"notice,omitempty"`
}

type cause struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func printAuthorization(cmd *cobra.Command, a host.Authorization, asJSON bool) error {
	if asJSON {
		x := headerReport{
			Mode: a.Mode, Reason: a.Reason, Header: a.Header(), AccountID: a.AccountID,
			AgentRuntimeID: a.AgentRuntimeID, TaskID: a.TaskID, ValidUntil: a.ValidUntil, RetryAt: a.RetryAt,
			AgentAssertion: a.AgentAssertion(), RuntimeAgentInstance: a.RuntimeAgentInstance,
		}
		if a.Cause != nil {
			x.Cause = &cause{core.Code(a.Cause), oneLine(a.Cause)}
		}
		if a.Notice != nil {
			x.Notice = &cause{core.Code(a.Notice), oneLine(a.Notice)}
		}
		if err := printJSON(cmd.OutOrStdout(), x); err != nil {
			return err
		}
	}
	lines := said(a.Mode, a.Reason, a.Cause, a.Notice)
	if a.Mode == core.ModeNone {
		return answerNo(errors.New(strings.Join(lines, "; ")))
	}
	for _, line := range lines {
		fmt.Fprintln(cmd.ErrOrStderr(), "agentassert:", line)
	}
	if asJSON {
		return nil
	}
	if a.Mode == core.ModeDualHeader {
		// Two header fields, so both have their names.
		if a.Header() != "" {
			fmt.Fprintln(cmd.OutOrStdout(), "Authorization:", a.Header())
		}
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "X-OpenAI-Agent-Assertion:", a.AgentAssertion())
		return err
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), a.Header())
	return err
}
