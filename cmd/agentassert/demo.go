package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
	"github.com/agentassert/agentassert/wasm"
)

func newDemo(o *engineOptions) *cobra.Command {
	var asJSON bool
	var profile, headerMode string
	cmd := &cobra.Command{
		Use:   "demo [--profile NAME]",
		Short: "Register, sign and verify real requests on this machine",
		Long: `Start a backend on a free loopback port, sign a user in to a temporary auth.json,
and send a real request for every surface that belongs to no conversation, in other
profiles than the default also for those of a conversation; then one with the feature
off, to an unsupported host, with an API key, and while the backend refuses to register
anybody.

The exit code is 0 only if every answer is what the decision table says.

--json prints one object:
  module         bytes, sha256, imports: the module's size, hash, and what it imports
  rows           an array of objects: surface, scenario, mode, reason, status of the
                 answer, agent_runtime_id, task_id, runtime_agent_instance
  registrations  identities, tasks, instances: how many the backend has registered`,
		Example: "  agentassert demo\n  agentassert demo --profile instances --header-mode assertion_only",
		Args:    noArguments,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			p, ok := demoProfiles[profile]
			if !ok {
				return usage(fmt.Errorf("--profile is biscuit, auth-api or instances, not %q", profile))
			}
			if !slices.Contains(headerModes, headerMode) {
				return usage(fmt.Errorf("--header-mode is dual_header or assertion_only, not %q", headerMode))
			}
			return o.withEngine(cmd.Context(), func(e host.Engine) error {
				report, err := runDemo(cmd.Context(), e, p(headerMode))
				if err != nil {
					return err
				}
				if report.Module.Imports, err = o.imports(cmd.Context()); err != nil {
					return err
				}
				if asJSON {
					err = printJSON(cmd.OutOrStdout(), report)
				} else {
					err = report.print(cmd.OutOrStdout())
				}
				if err != nil {
					return err
				}
				return report.check()
			})
		}),
	}
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print JSON, as described above")
	f.StringVar(&profile, "profile", "biscuit", "the form of the protocol: biscuit, auth-api or instances")
	f.StringVar(&headerMode, "header-mode", wire.HeaderModeDual, "with --profile instances: dual_header or assertion_only")
	must(cmd.RegisterFlagCompletionFunc("profile", cobra.FixedCompletions(profileNames, cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.RegisterFlagCompletionFunc("header-mode", cobra.FixedCompletions(headerModes, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

type demoReport struct {
	Module        demoModule        `json:"module"`
	Rows          []demoRow         `json:"rows"`
	Registrations demoRegistrations `json:"registrations"`

	want demoRegistrations
}

type demoModule struct {
	Bytes   int    `json:"bytes"`
	SHA256  string `json:"sha256"`
	Imports int    `json:"imports"`
}

type demoRegistrations struct {
	Identities int `json:"identities"`
	Tasks      int `json:"tasks"`
	Instances  int `json:"instances"`
}

// demoRow is one request.
type demoRow struct {
	Surface  string `json:"surface"`
	Scenario string `json:"scenario,omitempty"`
	Mode     string `json:"mode"`
	Reason   string `json:"reason"`
	// Status is the backend's answer to the request.
	Status         int    `json:"status"`
	AgentRuntimeID string `json:"agent_runtime_id"`
	TaskID         string `json:"task_id"`

	RuntimeAgentInstance string `json:"runtime_agent_instance,omitempty"`

	want demoRowWant
	// verified is what the backend says that it authenticated.
	verified struct {
		Scheme               string `json:"scheme"`
		AgentRuntimeID       string `json:"agent_runtime_id"`
		TaskID               string `json:"task_id"`
		RuntimeAgentInstance string `json:"runtime_agent_instance"`
	}
}

// demoRowWant is a line of the decision table.
type demoRowWant struct {
	mode, reason string
	status       int
}

func (r demoRow) check() error {
	got := demoRowWant{r.Mode, r.Reason, r.Status}
	if got != r.want {
		return fmt.Errorf("%s %s: got %v, the decision table says %v", r.Surface, r.Scenario, got, r.want)
	}
	v := r.verified
	if r.asserts() && (v.Scheme != r.Mode || v.AgentRuntimeID != r.AgentRuntimeID || v.TaskID != r.TaskID || v.RuntimeAgentInstance != r.RuntimeAgentInstance) {
		return fmt.Errorf("%s: the backend verified %+v", r.Surface, v)
	}
	return nil
}

func (r demoRow) asserts() bool {
	return r.Mode == core.ModeAgentAssertion || r.Mode == core.ModeDualHeader
}

func (d *demoReport) check() error {
	var errs []error
	for _, r := range d.Rows {
		errs = append(errs, r.check())
	}
	if d.Registrations != d.want {
		errs = append(errs, fmt.Errorf("the backend registered %+v, not %+v", d.Registrations, d.want))
	}
	if err := errors.Join(errs...); err != nil {
		return answerNo(err)
	}
	return nil
}

func (d *demoReport) print(w io.Writer) error {
	fmt.Fprintf(w, "module: %d bytes, %d imports, sha256 %s\n\n", d.Module.Bytes, d.Module.Imports, d.Module.SHA256)
	look := styleOf(w)
	var t table
	t.heading(look, "SURFACE", "MODE", "REASON", "STATUS", "AGENT", "TASK", "")
	wrong := 0
	for _, r := range d.Rows {
		verdict, mode := "", cell{text: r.Mode}
		switch {
		case r.check() != nil:
			wrong++
			verdict, mode.look = "WRONG", look.no
		case r.asserts():
			mode.look = look.ok
		}
		name := r.Surface
		if r.Scenario != "" {
			name += " (" + r.Scenario + ")"
		}
		t.row(cell{text: name}, mode, cell{text: r.Reason}, cell{text: fmt.Sprint(r.Status)},
			cell{text: dash(r.AgentRuntimeID + r.RuntimeAgentInstance)}, cell{text: dash(r.TaskID)}, cell{verdict, look.no})
	}
	if err := t.print(w); err != nil {
		return err
	}
	what := fmt.Sprintf("%d identity and %d task", d.Registrations.Identities, d.Registrations.Tasks)
	if d.Registrations.Instances > 0 {
		what = fmt.Sprintf("%d runtime agent instance", d.Registrations.Instances)
	}
	if _, err := fmt.Fprintf(w, "\nThe backend registered %s for all of these.\n", what); err != nil || wrong > 0 {
		return err
	}
	_, err := fmt.Fprintln(w, look.ok(fmt.Sprintf("All %d answers are what the decision table says.", len(d.Rows))))
	return err
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

const demoTimeout = 15 * time.Second

// runDemo runs the backend and all requests.
func runDemo(ctx context.Context, e host.Engine, p demoProfile) (report *demoReport, err error) {
	dir, err := os.MkdirTemp("", "agentassert-demo-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot listen on loopback: %w", err)
	}
	backend, err := authority.New(authority.Options{})
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	serving, stop := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	go func() { stopped <- serve(serving, listener, backend) }()
	defer func() {
		stop()
		err = errors.Join(err, <-stopped)
	}()
	d := demo{ctx: ctx, engine: e, backend: backend, dir: dir, origin: "http://" + listener.Addr().String(), profile: p}
	// Connections to other places than the backend would be a bug.
	d.client = &http.Client{Transport: &http.Transport{Proxy: nil}, Timeout: demoTimeout}
	defer d.client.CloseIdleConnections()
	return d.run()
}

type demo struct {
	ctx     context.Context
	engine  host.Engine
	backend *authority.Authority
	client  *http.Client
	dir     string
	origin  string
	profile demoProfile
	rows    []demoRow
}

// demoProfile is what a profile's decision table says, and what it registers.
type demoProfile struct {
	// config changes a manager's configuration, for a backend at that origin.
	config func(c *host.ManagerConfig, origin string)
	// threads says that there are rows for a conversation's surfaces.
	threads bool
	want    func(s core.Surface) demoRowWant
	// surface is the one of the further rows. Without support for its host, with an API
	// key, and while nobody is registered, it gets these; the first can be nothing.
	surface                     string
	unsupported, apiKey, failed demoRowWant
	registers                   demoRegistrations
}

// demoProfiles are by their names, in a header mode.
var demoProfiles = map[string]func(headerMode string) demoProfile{
	"biscuit": func(string) demoProfile {
		return demoProfile{
			config: func(*host.ManagerConfig, string) {},
			want: func(core.Surface) demoRowWant {
				return demoRowWant{core.ModeAgentAssertion, core.ReasonBackgroundTask, http.StatusOK}
			},
			surface:     core.SurfaceApps,
			unsupported: demoRowWant{core.ModeBearer, core.ReasonUnsupportedHost, http.StatusOK},
			apiKey:      demoRowWant{core.ModeNone, core.ReasonNoChatGPTCredentials, http.StatusUnauthorized},
			failed:      demoRowWant{core.ModeBearer, core.ReasonRegistrationFailed, http.StatusOK},
			registers:   demoRegistrations{Identities: 1, Tasks: 1},
		}
	},
	"auth-api": func(string) demoProfile {
		asserts := demoRowWant{core.ModeAgentAssertion, core.ReasonIdentityTask, http.StatusOK}
		return demoProfile{
			config: func(c *host.ManagerConfig, origin string) {
				c.Profile, c.AuthAPIURL = wire.ProfileAuthAPI, origin+"/api/accounts"
			},
			threads: true,
			want: func(s core.Surface) demoRowWant {
				if s.Name == core.SurfaceResponses {
					return asserts
				}
				return demoRowWant{core.ModeBearer, core.ReasonBearerSurface, http.StatusOK}
			},
			surface:   core.SurfaceResponses, // whose host need not be supported
			apiKey:    demoRowWant{core.ModeNone, core.ReasonNoChatGPTCredentials, http.StatusUnauthorized},
			failed:    demoRowWant{core.ModeNone, core.ReasonRegistrationFailed, http.StatusUnauthorized},
			registers: demoRegistrations{Identities: 1, Tasks: 1},
		}
	},
	"instances": func(headerMode string) demoProfile {
		asserts := demoRowWant{core.ModeDualHeader, core.ReasonRuntimeInstance, http.StatusOK}
		if headerMode == wire.HeaderModeAssertionOnly {
			asserts.mode = core.ModeAgentAssertion
		}
		return demoProfile{
			config: func(c *host.ManagerConfig, origin string) {
				c.Profile, c.AuthAPIURL = wire.ProfileInstances, origin
				c.Instance = &host.InstanceConfig{HeaderMode: headerMode, InstallationID: "demo", Harness: "agentassert", Role: "orchestrator"}
			},
			threads:     true,
			want:        func(core.Surface) demoRowWant { return asserts },
			surface:     core.SurfaceApps,
			unsupported: demoRowWant{core.ModeBearer, core.ReasonUnsupportedHost, http.StatusOK},
			apiKey:      demoRowWant{core.ModeNone, core.ReasonRegistrationFailed, http.StatusUnauthorized},
			failed:      demoRowWant{core.ModeBearer, core.ReasonRegistrationFailed, http.StatusOK},
			registers:   demoRegistrations{Instances: 1},
		}
	},
}

func (d *demo) run() (*demoReport, error) {
	signedIn := d.backend.SignIn("account-1", "user-1").AuthJSON()
	if err := d.scenario("", signedIn, host.ManagerConfig{}, core.Surfaces(), func(s core.Surface) demoRowWant {
		if s.Scope == core.ScopeBearerOnly {
			return demoRowWant{core.ModeBearer, core.ReasonBearerOnlySurface, http.StatusOK}
		}
		return d.profile.want(s)
	}); err != nil {
		return nil, err
	}
	one, err := core.LookupSurface(d.profile.surface)
	if err != nil {
		return nil, err
	}
	for _, s := range []struct {
		name     string
		authJSON []byte
		config   host.ManagerConfig
		refuse   int
		want     demoRowWant
	}{
		{"gate off", signedIn, host.ManagerConfig{AgentIdentity: false, TrustedHosts: []string{"127.0.0.1"}}, 0,
			demoRowWant{core.ModeBearer, core.ReasonFeatureOff, http.StatusOK}},
		{"unsupported host", signedIn, host.ManagerConfig{AgentIdentity: true, TrustedHosts: []string{"localhost"}}, 0,
			d.profile.unsupported},
		{"API key", []byte(`{"auth_mode":"apikey","OPENAI_API_KEY":"not-a-real-key"}`), host.ManagerConfig{}, 0, d.profile.apiKey},
		{"registration refused", d.backend.SignIn("account-2", "user-2").AuthJSON(), host.ManagerConfig{}, http.StatusForbidden,
			d.profile.failed},
	} {
		if s.want == (demoRowWant{}) {
			continue
		}
		d.backend.RefuseRegistration(s.refuse)
		err := d.scenario(s.name, s.authJSON, s.config, []core.Surface{one}, func(core.Surface) demoRowWant { return s.want })
		if err != nil {
			return nil, err
		}
	}
	counts := d.backend.Counts()
	return &demoReport{
		Module: demoModule{Bytes: len(wasm.Module), SHA256: moduleHash()},
		Rows:   d.rows,
		Registrations: demoRegistrations{
			Identities: counts.Identities,
			Tasks:      counts.Tasks,
			Instances:  counts.Instances,
		},
		want: d.profile.registers,
	}, nil
}

// scenario sends one request for each surface that has an authorization without
// a thread, as one user with one configuration.
func (d *demo) scenario(name string, authJSON []byte, c host.ManagerConfig, surfaces []core.Surface, want func(core.Surface) demoRowWant) (err error) {
	path := filepath.Join(d.dir, fmt.Sprintf("auth-%d.json", len(d.rows)))
	if err := os.WriteFile(path, authJSON, 0o600); err != nil {
		return err
	}
	file := authfile.New(path)
	if c.TrustedHosts == nil {
		c.AgentIdentity, c.TrustedHosts = true, []string{"127.0.0.1"}
	}
	c.Engine, c.Store, c.Credentials, c.BaseURL = d.engine, file, file, d.origin+"/backend-api"
	c.ABOM, c.HTTPClient, c.Logger = abom(), d.client, slog.New(slog.DiscardHandler)
	d.profile.config(&c, d.origin)
	m, err := host.NewManager(c)
	if err != nil {
		return err
	}
	defer closeManager(m, &err)
	for _, s := range surfaces {
		if s.Scope == core.ScopeThread && (!d.profile.threads || s.Path == "") {
			continue
		}
		row, err := d.send(m, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		row.Scenario, row.want = name, want(s)
		d.rows = append(d.rows, row)
	}
	return nil
}

// send makes one request, and reads what the backend authenticated.
func (d *demo) send(m *host.Manager, s core.Surface) (demoRow, error) {
	ask := m.Authorization
	if s.Scope == core.ScopeThread {
		ask = m.Thread("thread-1").Authorization
	}
	a, err := ask(d.ctx, s.Name)
	if core.Code(err) == host.CodeThreadFailed {
		// The turn is not sent. Here it is, as it is, so that the backend has its say.
		a, err = host.Authorization{Mode: core.ModeNone, Reason: core.ReasonRegistrationFailed}, nil
	}
	if err != nil {
		return demoRow{}, err
	}
	// Not the endpoints that mint and register: those were called on the way.
	path := s.Path
	if s.Scope == core.ScopeBearerOnly {
		path = "/plugins/featured"
	}
	request, err := http.NewRequestWithContext(d.ctx, s.Method, m.BaseURL()+path, nil)
	if err != nil {
		return demoRow{}, err
	}
	a.SetHeaders(request.Header)
	response, err := d.client.Do(request)
	if err != nil {
		return demoRow{}, err
	}
	defer response.Body.Close()
	row := demoRow{
		Surface: s.Name, Mode: a.Mode, Reason: a.Reason, Status: response.StatusCode,
		AgentRuntimeID: a.AgentRuntimeID, TaskID: a.TaskID, RuntimeAgentInstance: a.RuntimeAgentInstance,
	}
	return row, json.NewDecoder(io.LimitReader(response.Body, maxArgumentFile)).Decode(&row.verified)
}
