package managers

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
)

// Options are a manager's, the same in every language.
type Options struct {
	// AuthJSON is the path of an auth.json. Without one the store is in memory.
	AuthJSON string `json:"auth_json,omitempty"`
	// Beside keeps the identity in a file of its own.
	Beside bool `json:"beside,omitempty"`
	// ReadOnly and Broken are stores in memory, of which one can be read and not be
	// changed, and the other fails whatever is asked of it.
	ReadOnly bool `json:"read_only,omitempty"`
	Broken   bool `json:"broken,omitempty"`

	BaseURL            string       `json:"base_url"`
	AuthAPIURL         string       `json:"auth_api_url,omitempty"`
	Profile            string       `json:"profile,omitempty"`
	AllSurfaces        bool         `json:"all_surfaces,omitempty"`
	AgentIdentity      bool         `json:"agent_identity,omitempty"`
	WorkspaceRouting   bool         `json:"workspace_routing,omitempty"`
	TrustedHosts       []string     `json:"trusted_hosts,omitempty"`
	ForcedWorkspaceIDs []string     `json:"forced_workspace_ids,omitempty"`
	Instance           *Instance    `json:"instance,omitempty"`
	Credentials        *Credentials `json:"credentials,omitempty"`
}

// Instance is the ABI's instance_config.
type Instance struct {
	HeaderMode     string `json:"header_mode"`
	InstallationID string `json:"installation_id"`
	Harness        string `json:"harness"`
	Role           string `json:"role"`
}

// Credentials are the ABI's.
type Credentials struct {
	Kind        string `json:"kind"`
	AccessToken string `json:"access_token,omitempty"`
	AccountID   string `json:"account_id,omitempty"`
}

// Problem is an error, a cause or a notice.
type Problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Authorization is what a call carries.
type Authorization struct {
	Mode                   string            `json:"mode"`
	Reason                 string            `json:"reason"`
	Header                 string            `json:"header"`
	AgentAssertion         string            `json:"agent_assertion"`
	AccountID              string            `json:"account_id"`
	AgentRuntimeID         string            `json:"agent_runtime_id"`
	TaskID                 string            `json:"task_id"`
	RuntimeAgentInstance   string            `json:"runtime_agent_instance"`
	FedRAMP                bool              `json:"fedramp"`
	ResponsesOrigin        string            `json:"responses_origin"`
	AccountRoutingOverride string            `json:"account_routing_override"`
	RetryAt                int64             `json:"retry_at"`
	Cause                  *Problem          `json:"cause"`
	Notice                 *Problem          `json:"notice"`
	Headers                map[string]string `json:"headers"`
}

// Result is one caller's.
type Result struct {
	Authorization *Authorization `json:"authorization,omitempty"`
	Error         *Problem       `json:"error,omitempty"`
}

type request struct {
	Op        string            `json:"op"`
	Options   *Options          `json:"options,omitempty"`
	Surface   string            `json:"surface,omitempty"`
	Thread    string            `json:"thread,omitempty"`
	Callers   int               `json:"callers,omitempty"`
	TimeoutMS int64             `json:"timeout_ms,omitempty"`
	Headers   map[string]string `json:"headers,omitempty"`
	Body      string            `json:"body,omitempty"`
}

type response struct {
	OK    json.RawMessage `json:"ok,omitempty"`
	Error *Problem        `json:"error,omitempty"`
}

const (
	driversVariable = "AGENTASSERT_DRIVERS"
	// roleVariable makes this test's own program Go's driver.
	roleVariable = "AGENTASSERT_TEST_DRIVER"
	// answerTimeout is what a driver has for an answer. The slowest compiles the module first.
	answerTimeout = time.Minute
)

// language is one that takes part.
type language struct {
	name    string
	command []string
	env     []string
}

// languages returns Go, and those that AGENTASSERT_DRIVERS names.
func languages(t testing.TB) []language {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	list := []language{{name: "go", command: []string{self}, env: []string{roleVariable + "=1"}}}
	named := os.Getenv(driversVariable)
	if named == "" {
		t.Logf("%s names no drivers, so only Go's manager is tested; \"make test-managers\" builds the others", driversVariable)
	}
	for entry := range strings.SplitSeq(named, ";") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		name, command, ok := strings.Cut(entry, "=")
		fields := strings.Fields(command)
		if !ok || len(fields) == 0 {
			t.Fatalf("%s: %q is not NAME=COMMAND", driversVariable, entry)
		}
		list = append(list, language{name: name, command: fields})
	}
	return list
}

// each runs a test for each language.
func each(t *testing.T, run func(t *testing.T, l language)) {
	for _, l := range languages(t) {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			run(t, l)
		})
	}
}

// driver is a process with a manager.
type driver struct {
	t       *testing.T
	name    string
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers chan string
}

// start starts a driver, and opens its manager.
func (l language) start(t *testing.T, o Options) *driver {
	t.Helper()
	d := l.process(t)
	if r := d.ask(request{Op: "open", Options: &o}); r.Error != nil {
		t.Fatalf("%s: open: %+v", l.name, *r.Error)
	}
	return d
}

// process starts a driver. It ends with the test.
func (l language) process(t *testing.T) *driver {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(l.command[0], l.command[1:]...)
	cmd.Dir, cmd.Env, cmd.Stderr = root, append(os.Environ(), l.env...), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", l.name, err)
	}
	d := &driver{t: t, name: l.name, cmd: cmd, in: in, answers: make(chan string)}
	read := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(read)
		defer close(d.answers)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 8<<20)
		for lines.Scan() {
			select {
			case d.answers <- lines.Text():
			case <-ended:
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(ended)
		in.Close()
		kill := time.AfterFunc(answerTimeout, func() { cmd.Process.Kill() })
		defer kill.Stop()
		<-read
		var exit *exec.ExitError
		if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
			t.Errorf("%s: %v", l.name, err)
		} else if exit != nil && exit.ExitCode() > 0 {
			t.Errorf("%s: the driver ended with exit code %d", l.name, exit.ExitCode())
		}
	})
	return d
}

// send sends a line, which is answered later.
func (d *driver) send(r request) {
	d.t.Helper()
	line, err := json.Marshal(r)
	if err != nil {
		d.t.Fatal(err)
	}
	if _, err := d.in.Write(append(line, '\n')); err != nil {
		d.t.Fatalf("%s: %v", d.name, err)
	}
}

// answer waits for the next answer.
func (d *driver) answer() response {
	d.t.Helper()
	select {
	case line, ok := <-d.answers:
		if !ok {
			d.t.Fatalf("%s: the driver ended", d.name)
		}
		var r response
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			d.t.Fatalf("%s: %v: %s", d.name, err, line)
		}
		return r
	case <-time.After(answerTimeout):
		d.t.Fatalf("%s: no answer after %v", d.name, answerTimeout)
	}
	panic("unreachable")
}

func (d *driver) ask(r request) response {
	d.t.Helper()
	d.send(r)
	return d.answer()
}

// results reads an answer as that of each caller.
func (d *driver) results(r response) []Result {
	d.t.Helper()
	if r.Error != nil {
		return []Result{{Error: r.Error}}
	}
	var list []Result
	if err := json.Unmarshal(r.OK, &list); err != nil || len(list) == 0 {
		d.t.Fatalf("%s: %v in %s", d.name, err, r.OK)
	}
	return list
}

// result asks for what a call carries: one of a conversation, if there is a thread.
func (d *driver) result(surface, thread string) Result {
	d.t.Helper()
	return d.results(d.ask(request{Op: "authorization", Surface: surface, Thread: thread}))[0]
}

// authorization does, and expects one.
func (d *driver) authorization(surface, thread string) Authorization {
	d.t.Helper()
	r := d.result(surface, thread)
	if r.Authorization == nil {
		d.t.Fatalf("%s: %s: %s", d.name, surface, r)
	}
	return *r.Authorization
}

func (d *driver) recover(headers map[string]string, body string) Result {
	d.t.Helper()
	return d.results(d.ask(request{Op: "recover", Headers: headers, Body: body}))[0]
}

// done asks for what has no result.
func (d *driver) done(r request) {
	d.t.Helper()
	if a := d.ask(r); a.Error != nil {
		d.t.Fatalf("%s: %s: %+v", d.name, r.Op, *a.Error)
	}
}

func (r Result) String() string {
	switch {
	case r.Error != nil:
		return fmt.Sprintf("error %s: %s", r.Error.Code, r.Error.Message)
	case r.Authorization == nil:
		return "neither an authorization nor an error"
	}
	a := r.Authorization
	s := fmt.Sprintf("%s (%s) agent %q instance %q task %q", a.Mode, a.Reason, a.AgentRuntimeID, a.RuntimeAgentInstance, a.TaskID)
	if a.Cause != nil {
		s += fmt.Sprintf(", because of %s: %s", a.Cause.Code, a.Cause.Message)
	}
	return s
}

// asserts reports whether the call carries an assertion.
func (a Authorization) asserts() bool {
	return a.Mode == core.ModeAgentAssertion || a.Mode == core.ModeDualHeader
}
