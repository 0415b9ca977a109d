package core_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// bytesOf is a byte string as the test vectors write it.
type bytesOf struct {
	Hex  *string `json:"hex"`
	UTF8 *string `json:"utf8"`
}

func (b bytesOf) bytes(t *testing.T) []byte {
	t.Helper()
	switch {
	case b.UTF8 != nil:
		return []byte(*b.UTF8)
	case b.Hex == nil:
		return nil
	}
	text, err := hex.DecodeString(*b.Hex)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// header is a header field as the test vectors write it.
type header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// vectors returns the test vectors of a method.
func vectors[P, R any](t *testing.T, method string) (of []vector[P, R]) {
	t.Helper()
	text, err := os.ReadFile("../testvectors/registrations.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []json.RawMessage `json:"vectors"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, raw := range file.Vectors {
		var called struct {
			Method string `json:"method"`
		}
		if err := json.Unmarshal(raw, &called); err != nil {
			t.Fatal(err)
		}
		if called.Method != method {
			continue
		}
		var v vector[P, R]
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		of = append(of, v)
	}
	return of
}

type vector[P, R any] struct {
	ID     string `json:"id"`
	Params P      `json:"params"`
	OK     *R     `json:"ok"`
	Error  *struct {
		Code string `json:"code"`
	} `json:"error"`
}

func (v vector[P, R]) code() string {
	if v.Error == nil {
		return ""
	}
	return v.Error.Code
}

// The functions make the requests that the test vectors pin for the ABI.
func TestRegistrationsOfTheVectors(t *testing.T) {
	type params struct {
		Config struct {
			BaseURL      string   `json:"base_url"`
			AuthAPIURL   string   `json:"auth_api_url"`
			Profile      string   `json:"profile"`
			Capabilities []string `json:"capabilities"`
			ABOM         struct {
				AgentVersion    string `json:"agent_version"`
				AgentHarnessID  string `json:"agent_harness_id"`
				RunningLocation string `json:"running_location"`
			} `json:"abom"`
			Instance struct {
				InstallationID string `json:"installation_id"`
				Harness        string `json:"harness"`
				Role           string `json:"role"`
			} `json:"instance"`
		} `json:"config"`
		Credentials struct {
			Kind        string `json:"kind"`
			AccessToken string `json:"access_token"`
			FedRAMP     bool   `json:"fedramp"`
		} `json:"credentials"`
		Step           string  `json:"step"`
		PrivateKey     string  `json:"private_key"`
		AgentRuntimeID string  `json:"agent_runtime_id"`
		Biscuit        string  `json:"biscuit"`
		Entropy        bytesOf `json:"entropy"`
		Now            int64   `json:"now"`
	}
	type request struct {
		Method          string   `json:"method"`
		URL             string   `json:"url"`
		Headers         []header `json:"headers"`
		Body            bytesOf  `json:"body"`
		TimeoutMS       int64    `json:"timeout_ms"`
		SizeLimit       int64    `json:"size_limit"`
		ResponseHeaders []string `json:"response_headers"`
	}
	seen := map[string]int{}
	for _, v := range vectors[params, request](t, wire.MethodRegistrationRequest) {
		p, c := v.Params, v.Params.Config
		if p.Credentials.Kind == wire.CredentialsAgentIdentity {
			continue // of that there is nothing to choose here
		}
		key, err := core.ParsePrivateKey(p.PrivateKey)
		if err != nil {
			key = nil
		}
		var got wire.HTTPRequest
		switch call := p.Step + " " + c.Profile; call {
		case "biscuit ":
			got, err = core.BiscuitRequest(core.BiscuitRequestParams{
				BaseURL: c.BaseURL, AccessToken: p.Credentials.AccessToken, AgentRuntimeID: p.AgentRuntimeID, Entropy: p.Entropy.bytes(t),
			})
		case "identity ", "identity auth-api":
			got, err = core.IdentityRegistration(core.IdentityRegistrationParams{
				Profile: c.Profile, BaseURL: c.BaseURL, AuthAPIURL: c.AuthAPIURL,
				AccessToken: p.Credentials.AccessToken, FedRAMP: p.Credentials.FedRAMP, Biscuit: p.Biscuit, Key: key,
				ABOM:         wire.ABOM{AgentVersion: c.ABOM.AgentVersion, AgentHarnessID: c.ABOM.AgentHarnessID, RunningLocation: c.ABOM.RunningLocation},
				Capabilities: c.Capabilities,
			})
		case "identity instances":
			q := core.InstanceRegistrationParams{
				BaseURL: c.BaseURL, AuthAPIURL: c.AuthAPIURL, AccessToken: p.Credentials.AccessToken, Key: key,
				InstallationID: c.Instance.InstallationID, Harness: c.Instance.Harness, HarnessVersion: c.ABOM.AgentVersion, Role: c.Instance.Role,
				Entropy: p.Entropy.bytes(t),
			}
			if p.Credentials.Kind == wire.CredentialsAPIKey {
				q.AccessToken, q.APIKey = "", p.Credentials.AccessToken
			}
			got, err = core.InstanceRegistration(q)
		case "task ", "task auth-api", "task instances":
			got, err = core.TaskRegistration(core.TaskRegistrationParams{
				Profile: c.Profile, BaseURL: c.BaseURL, AuthAPIURL: c.AuthAPIURL, Biscuit: p.Biscuit,
				AgentRuntimeID: p.AgentRuntimeID, Key: key, Now: p.Now,
			})
		default:
			continue
		}
		seen[p.Step+" "+v.code()]++
		if core.Code(err) != v.code() {
			t.Errorf("%s: %v, want %q", v.ID, err, v.code())
		}
		if v.OK == nil {
			if !reflect.DeepEqual(got, wire.HTTPRequest{}) {
				t.Errorf("%s: a request beside an error", v.ID)
			}
			continue
		}
		want := wire.HTTPRequest{
			Method: v.OK.Method, URL: v.OK.URL, Body: v.OK.Body.bytes(t),
			TimeoutMS: v.OK.TimeoutMS, SizeLimit: v.OK.SizeLimit, ResponseHeaders: v.OK.ResponseHeaders,
		}
		for _, h := range v.OK.Headers {
			want.Headers = append(want.Headers, wire.Header{Name: h.Name, Value: h.Value})
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %s %s %s", v.ID, got.Method, got.URL, got.Body)
		}
	}
	for _, want := range []string{
		"biscuit ", "biscuit no_access_token", "biscuit invalid_entropy", "biscuit invalid_agent_runtime_id",
		"identity ", "identity no_auth_api", "identity no_access_token", "identity invalid_biscuit", "identity invalid_entropy", "identity invalid_private_key",
		"task ", "task no_auth_api", "task invalid_biscuit", "task invalid_agent_runtime_id", "task invalid_config", "task invalid_time", "task invalid_private_key",
	} {
		if seen[want] == 0 {
			t.Errorf("no vector was of %q", want)
		}
	}
}

// The functions read the answers that the test vectors pin for the ABI.
func TestRegisteredOfTheVectors(t *testing.T) {
	type params struct {
		Profile    string   `json:"profile"`
		Step       string   `json:"step"`
		Status     int      `json:"status"`
		Headers    []header `json:"headers"`
		Body       bytesOf  `json:"body"`
		PrivateKey string   `json:"private_key"`
	}
	type answer struct {
		Biscuit              string `json:"biscuit"`
		AgentRuntimeID       string `json:"agent_runtime_id"`
		RuntimeAgentInstance string `json:"runtime_agent_instance"`
		TaskID               string `json:"task_id"`
	}
	seen := map[string]int{}
	for _, v := range vectors[params, answer](t, wire.MethodRegistrationRead) {
		p := v.Params
		if v.code() == core.CodeInvalidConfig || strings.HasSuffix(v.ID, "-in-the-clear-refused") {
			continue // of a profile without that step; ReadTask has no profile
		}
		a := core.Answer{Status: p.Status, Header: map[string][]string{}, Body: p.Body.bytes(t), Now: now}
		for _, h := range p.Headers {
			a.Header[h.Name] = append(a.Header[h.Name], h.Value)
		}
		key, err := core.ParsePrivateKey(p.PrivateKey)
		if err != nil {
			key = nil
		}
		var got answer
		switch {
		case p.Step == wire.StepBiscuit:
			got.Biscuit, err = core.ReadBiscuit(a)
		case p.Step == wire.StepIdentity && p.Profile == wire.ProfileInstances:
			got.RuntimeAgentInstance, err = core.ReadInstance(a)
		case p.Step == wire.StepIdentity:
			got.AgentRuntimeID, err = core.ReadIdentity(a)
		default:
			got.TaskID, err = core.ReadTask(key, a)
		}
		seen[p.Step+" "+v.code()]++
		want := answer{}
		if v.OK != nil {
			want = *v.OK
		}
		if core.Code(err) != v.code() || got != want {
			t.Errorf("%s: %+v, %v; want %+v, %q", v.ID, got, err, want, v.code())
		}
		if v.code() == core.CodeHTTPStatus {
			r, ok := errors.AsType[*core.Refusal](err)
			if !ok || r.Status != p.Status || r.Step != p.Step {
				t.Errorf("%s: %v", v.ID, err)
			}
		}
	}
	for _, want := range []string{"biscuit ", "biscuit invalid_response", "identity ", "identity http_status", "task ", "task http_status", "task invalid_sealed_task_id"} {
		if seen[want] == 0 {
			t.Errorf("no vector was of %q", want)
		}
	}
}

func TestReadTask(t *testing.T) {
	key, err := core.NewPrivateKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := core.SealTaskID(key.Public(), make([]byte, 32), "task-9")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ body, want, code string }{
		"in the clear":                 {`{"task_id":"task-1"}`, "task-1", ""},
		"in camel case":                {`{"taskId":"task-1"}`, "task-1", ""},
		"sealed":                       {`{"encrypted_task_id":"` + sealed + `"}`, "task-9", ""},
		"sealed, in camel case":        {`{"encryptedTaskId":"` + sealed + `"}`, "task-9", ""},
		"empty beside a sealed one":    {`{"task_id":"","encrypted_task_id":"` + sealed + `"}`, "task-9", ""},
		"null beside a sealed one":     {`{"task_id":null,"taskId":"","encrypted_task_id":null,"encryptedTaskId":"` + sealed + `"}`, "task-9", ""},
		"in the clear, beside a seal":  {`{"task_id":"task-1","encrypted_task_id":"!"}`, "task-1", ""},
		"in snake case, beside camel":  {`{"taskId":"task-2","task_id":"task-1"}`, "task-1", ""},
		"empty":                        {`{"task_id":""}`, "", core.CodeInvalidTaskID},
		"empty, and sealed to nobody":  {`{"task_id":"","encrypted_task_id":""}`, "", core.CodeInvalidSealedTaskID},
		"nothing":                      {`{}`, "", core.CodeInvalidResponse},
		"no JSON":                      {``, "", core.CodeInvalidResponse},
		"a number":                     {`{"task_id":4}`, "", core.CodeInvalidResponse},
		"a control character":          {`{"task_id":"a\nb"}`, "", core.CodeInvalidTaskID},
		"sealed to nobody":             {`{"encrypted_task_id":"!"}`, "", core.CodeInvalidSealedTaskID},
		"more than 64 KiB of an array": {"[" + strings.Repeat(" ", 64<<10) + "]", "", core.CodeInvalidResponse},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := core.ReadTask(key, core.Answer{Status: 200, Body: []byte(tt.body)})
			if got != tt.want || core.Code(err) != tt.code {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	if _, err := core.ReadTask(nil, core.Answer{Status: 200, Body: []byte(`{"task_id":"task-1"}`)}); core.Code(err) != core.CodeInvalidPrivateKey {
		t.Errorf("without a key: %v", err)
	}
	for step, read := range map[string]func(core.Answer) (string, error){
		wire.StepBiscuit:  func(a core.Answer) (string, error) { return core.ReadBiscuit(a, "hunter2") },
		wire.StepIdentity: func(a core.Answer) (string, error) { return core.ReadIdentity(a, "hunter2") },
		"":                func(a core.Answer) (string, error) { return core.ReadInstance(a, "hunter2") },
	} {
		got, err := read(core.Answer{Status: 403, Header: map[string][]string{"X-OpenAI-Authorization": {"biscuit"}}, Body: []byte("you sent hunter2")})
		r, ok := errors.AsType[*core.Refusal](err)
		if !ok || got != "" || r.Step != step && step != "" || r.Body != "you sent [hidden]" {
			t.Errorf("%s: %q, %v", step, got, err)
		}
	}
	_, err = core.ReadTask(key, core.Answer{Status: 404, Body: []byte(`you sent hunter2`)}, "hunter2")
	if r, ok := errors.AsType[*core.Refusal](err); !ok || !errors.Is(err, core.ErrAgentRevoked) || strings.Contains(r.Body, "hunter2") {
		t.Errorf("refused: %v", err)
	}
}

func TestIdentityRegistrationCapabilities(t *testing.T) {
	key, err := core.NewPrivateKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	for want, capabilities := range map[string][]string{`["responsesapi"]`: nil, `["a","b"]`: {"a", "b"}} {
		r, err := core.IdentityRegistration(core.IdentityRegistrationParams{
			Profile: wire.ProfileAuthAPI, BaseURL: "https://chatgpt.com", AccessToken: "token", Key: key, Capabilities: capabilities,
		})
		if err != nil || !strings.Contains(string(r.Body), `"capabilities":`+want+`,`) {
			t.Errorf("%s, %v", r.Body, err)
		}
	}
}

// What only these functions can be given, and what they make of nothing.
func TestRegistrationsThatCannotBe(t *testing.T) {
	const base = "https://chatgpt.com"
	key, err := core.NewPrivateKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	entropy := make([]byte, 16)
	for name, tt := range map[string]struct {
		request func() (wire.HTTPRequest, error)
		code    string
	}{
		"a biscuit of nothing": {func() (wire.HTTPRequest, error) { return core.BiscuitRequest(core.BiscuitRequestParams{}) }, core.CodeInvalidBaseURL},
		"an identity without a key": {func() (wire.HTTPRequest, error) {
			return core.IdentityRegistration(core.IdentityRegistrationParams{BaseURL: base})
		}, core.CodeInvalidPrivateKey},
		"an instance without a key": {func() (wire.HTTPRequest, error) {
			return core.InstanceRegistration(core.InstanceRegistrationParams{BaseURL: base})
		}, core.CodeInvalidPrivateKey},
		"a task without a key": {func() (wire.HTTPRequest, error) {
			return core.TaskRegistration(core.TaskRegistrationParams{BaseURL: base})
		}, core.CodeInvalidPrivateKey},
		"an identity in the profile instances": {func() (wire.HTTPRequest, error) {
			return core.IdentityRegistration(core.IdentityRegistrationParams{Profile: wire.ProfileInstances, BaseURL: base, AccessToken: "token", Key: key})
		}, core.CodeInvalidConfig},
		"an identity in no profile": {func() (wire.HTTPRequest, error) {
			return core.IdentityRegistration(core.IdentityRegistrationParams{Profile: "biscuit", BaseURL: base, AccessToken: "token", Key: key})
		}, core.CodeInvalidConfig},
		"an instance that says nothing": {func() (wire.HTTPRequest, error) {
			return core.InstanceRegistration(core.InstanceRegistrationParams{BaseURL: base, AccessToken: "token", Key: key, Entropy: entropy})
		}, core.CodeInvalidConfig},
		"an instance of two": {func() (wire.HTTPRequest, error) {
			return core.InstanceRegistration(core.InstanceRegistrationParams{BaseURL: base, AccessToken: "token", APIKey: "key", Key: key, Entropy: entropy, InstallationID: "i", Harness: "h", Role: "r"})
		}, core.CodeInvalidCredentials},
		"a token that is two header fields": {func() (wire.HTTPRequest, error) {
			return core.IdentityRegistration(core.IdentityRegistrationParams{Profile: wire.ProfileAuthAPI, BaseURL: base, AccessToken: "a\r\nb: c", Key: key})
		}, core.CodeInvalidCredentials},
		"a task of an agent with a colon": {func() (wire.HTTPRequest, error) {
			return core.TaskRegistration(core.TaskRegistrationParams{Profile: wire.ProfileAuthAPI, BaseURL: base, AgentRuntimeID: "a:b", Key: key})
		}, core.CodeInvalidAgentRuntimeID},
		"a task of nobody": {func() (wire.HTTPRequest, error) {
			return core.TaskRegistration(core.TaskRegistrationParams{Profile: wire.ProfileAuthAPI, BaseURL: base, Key: key})
		}, core.CodeInvalidAgentRuntimeID},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := tt.request()
			if core.Code(err) != tt.code || !reflect.DeepEqual(r, wire.HTTPRequest{}) {
				t.Fatalf("%v, want %s", err, tt.code)
			}
			if says := err.Error(); strings.Contains(name, "profile instances") != strings.Contains(says, "InstanceRegistration") {
				t.Errorf("%s", says)
			}
		})
	}
}
