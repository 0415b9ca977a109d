package main

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

func newInspect(o *engineOptions) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:        "inspect HEADER",
		SuggestFor: []string{"decode", "explain", "show"},
		Short:      "Print what an assertion says, signed by whomever",
		Long: `Print what an assertion says: its form, of a task or of a runtime agent instance,
its envelope or its claims, and whether its bytes are canonical: the very ones that a
signer would write. The signature is not checked: verify does that.
` + headerArgumentHelp + `

--json prints one object:
` + contentHelp + `
  canonical          true or false`,
		Example: "  agentassert assert --key-file key.txt --runtime-id agent-1 --task-id task-1 | agentassert inspect -",
		Args:    oneHeader,
		RunE: run(func(cmd *cobra.Command, args []string) error {
			header, err := readHeader(args, cmd.InOrStdin())
			if err != nil {
				return err
			}
			return o.withEngine(cmd.Context(), func(e host.Engine) error {
				i, err := host.Call[wire.Inspection](cmd.Context(), e, wire.MethodAssertionInspect, wire.AssertionInspectParams{Header: header})
				if err != nil {
					return no(err, core.CodeInvalidAssertion)
				}
				said, out := newContent(i), cmd.OutOrStdout()
				if asJSON {
					return printJSON(out, struct {
						content
						Canonical bool `json:"canonical"`
					}{said, i.Canonical})
				}
				t, s := said.table(time.Now()), styleOf(out)
				canonical := cell{"yes", s.ok}
				if !i.Canonical {
					canonical = cell{"no: a signer would write other bytes for the same", s.warn}
				}
				t.row(cell{text: "canonical"}, canonical)
				return t.print(out)
			})
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, as described above")
	return cmd
}

// content is what an assertion says, one of the two according to its form.
type content struct {
	Form     string          `json:"form"`
	Envelope *envelope       `json:"envelope,omitempty"`
	Instance *instanceClaims `json:"instance,omitempty"`
}

// contentHelp describes it.
const contentHelp = `  form               task, or instance for a runtime agent instance's
  envelope           of a task's: agent_runtime_id, signature, task_id, timestamp
  instance           of an instance's: runtime_agent_instance, iat, in Unix seconds,
                     id, signature`

// envelope is wire.Envelope with the names and the order of the wire format.
type envelope struct {
	AgentRuntimeID string `json:"agent_runtime_id"`
	Signature      string `json:"signature"`
	TaskID         string `json:"task_id"`
	Timestamp      string `json:"timestamp"`
}

// instanceClaims is wire.InstanceClaims with the names and the order of the wire
// format, and the signature behind them.
type instanceClaims struct {
	RuntimeAgentInstance string `json:"runtime_agent_instance"`
	IssuedAt             int64  `json:"iat"`
	ID                   string `json:"id"`
	Signature            string `json:"signature"`
}

func newContent(i wire.Inspection) content {
	if i.Form == wire.FormInstance {
		claims := instanceClaims(*i.Instance)
		return content{Form: i.Form, Instance: &claims}
	}
	e := envelope(*i.Envelope)
	return content{Form: i.Form, Envelope: &e}
}

// table has a row for each thing that is said, and times as seen from one.
func (c content) table(now time.Time) (t table) {
	t.row(plain("form", c.Form)...)
	if i := c.Instance; i != nil {
		t.row(plain("runtime_agent_instance", shown(i.RuntimeAgentInstance))...)
		t.row(plain("iat", c.time(now))...)
		t.row(plain("id", shown(i.ID))...)
		t.row(plain("signature", shown(i.Signature))...)
		return t
	}
	t.row(plain("agent_runtime_id", shown(c.Envelope.AgentRuntimeID))...)
	t.row(plain("task_id", shown(c.Envelope.TaskID))...)
	t.row(plain("timestamp", c.time(now))...)
	t.row(plain("signature", shown(c.Envelope.Signature))...)
	return t
}

// time is when it was signed, as it says, as seen from a time.
func (c content) time(now time.Time) string {
	if c.Instance != nil {
		return when(time.Unix(c.Instance.IssuedAt, 0).UTC(), now)
	}
	at, err := time.Parse(time.RFC3339, c.Envelope.Timestamp)
	if err != nil {
		return shown(c.Envelope.Timestamp)
	}
	return when(at, now)
}

// shown is a text of a stranger's as a person can be shown it: on a line, and with nothing
// in it that a terminal would obey.
func shown(text string) string {
	if text == "" || !utf8.ValidString(text) || strings.TrimSpace(text) != text || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}
