// Package schemacheck holds the test vectors, and the lines of the conformance kit, to
// their schemas.
package schemacheck

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/testvectors"
)

func files(t *testing.T) []testvectors.File {
	t.Helper()
	files, err := testvectors.Load()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func schema(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	s, err := c.Compile(filepath.Join("..", "schema", name+".schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// document is a JSON text as the schemas' library wants it.
func document(t *testing.T, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestFilesMatchTheirSchemas(t *testing.T) {
	for _, f := range files(t) {
		text, err := os.ReadFile(filepath.Join("..", f.Area+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema(t, f.Area).Validate(document(t, text)); err != nil {
			t.Error(err)
		}
	}
}

func TestHostsMatchTheirSchemas(t *testing.T) {
	hosts, err := testvectors.LoadHosts()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range hosts {
		text, err := os.ReadFile(filepath.Join("..", "hosts", f.Area+".json"))
		if err != nil {
			t.Fatal(err)
		}
		s := schema(t, "hosts-"+f.Area)
		if err := s.Validate(document(t, text)); err != nil {
			t.Error(err)
		}
		v := f.Vectors[0]
		for what, change := range map[string]func(*testvectors.Vector){
			"another method": func(v *testvectors.Vector) { v.Method = "flow.step" },
			"another error":  func(v *testvectors.Vector) { v.OK, v.Error = nil, &testvectors.Error{Code: "internal"} },
			"a result":       func(v *testvectors.Vector) { v.OK = json.RawMessage(`{"done":true}`) },
			"no effect":      func(v *testvectors.Vector) { v.Params = json.RawMessage(`{"now":1}`) },
			"unknown members": func(v *testvectors.Vector) {
				v.Params = bytes.Replace(v.Params, []byte(`"slot"`), []byte(`"slots"`), 1)
			},
		} {
			changed := v
			change(&changed)
			if s.Validate(oneVector(t, f.Area, changed)) == nil {
				t.Errorf("%s: the schema accepts %s", f.Area, what)
			}
		}
	}
}

// oneVector returns a file that holds one vector, as a document.
func oneVector(t *testing.T, area string, v testvectors.Vector) any {
	t.Helper()
	text, err := json.Marshal(testvectors.File{Version: testvectors.Version, Area: area, Vectors: []testvectors.Vector{v}})
	if err != nil {
		t.Fatal(err)
	}
	return document(t, text)
}

// samples are vectors in which every combination of members is, that succeed. Of a
// flow it is one step.
func samples(f testvectors.File) []testvectors.Vector {
	var found []testvectors.Vector
	seen := map[string]bool{}
	add := func(v testvectors.Vector, values ...json.RawMessage) {
		key := v.Method
		for _, value := range values {
			key += " " + strings.Join(regexp.MustCompile(`"[a-z_0-9]+":|"type": ?"[a-z-]+"|"mode": ?"[a-z-]+"`).FindAllString(string(value), -1), "")
		}
		if !seen[key] {
			seen[key] = true
			found = append(found, v)
		}
	}
	for _, v := range f.Vectors {
		if v.OK != nil {
			add(v, v.Params, v.OK)
		}
		for _, s := range v.Steps {
			if s.Effect != nil {
				one := v
				one.Steps = []testvectors.Step{s}
				add(one, s.Event, s.Effect)
			}
		}
	}
	return found
}

// optional are the members that need not be there, behind the one that they are in.
var optional = regexp.MustCompile(`(` + strings.Join([]string{
	`(params|config)\.trusted_hosts`,
	`config\.(forced_workspace_ids|profile|auth_api_url|all_surfaces|instance|workspace_routing|pauses|capabilities)`,
	`(credentials|ok)\.(access_token|account_id|user_id|email|plan_type|problem|fedramp)`,
	`(params|ok|event|result)\.record`,
	`ok\.(method|path)`,
	`event\.(thread_id|rejected|headers|body|entropy)`,
	`(generate|registrations\.vectors\[0\])\.params\.profile`,
	`event\.(expected|beside|stat|content|names)`,
	`effect\.older_than`,
	`result\.(credentials|error)`,
	`effect\.(body|response_headers|expected|record)`, // TestSchemasRefuse has what needs a record
	`authorization\.(account_id|header|responses_origin|account_routing_override|fedramp|retry_at|cause|notice)`,
	`rejected\.(code|date)`,
}, "|") + `)$`)

// enumerated are the members whose values are a list.
var enumerated = regexp.MustCompile(`\.(type|kind|surface|scope|mode|reason|agent|profile|header_mode|form|slot|failure|method|code|operation|format|to|effect\.name)$`)

// mutations changes v in every way that no schema may accept, one after the other.
// It tells of each while v is changed, and undoes it.
func mutations(v any, path string, changed func(what string)) {
	replace := func(at string, set func(any), old any) {
		other := any(json.Number("1"))
		if _, isNumber := old.(json.Number); isNumber {
			other = "x"
			set(json.Number("1.5"))
			changed("a fraction for " + at)
		}
		set(other)
		changed("another type for " + at)
		set(nil)
		changed("null for " + at)
		if enumerated.MatchString(at) && !strings.HasSuffix(at, ".rejected.code") { // which is the backend's
			set("unheard-of")
			changed("a wrong value for " + at)
		}
		set(old)
		mutations(old, at, changed)
	}
	switch v := v.(type) {
	case map[string]any:
		v["unheard_of"] = "x"
		changed("a member that nobody knows in " + path)
		delete(v, "unheard_of")
		for _, name := range slices.Sorted(maps.Keys(v)) {
			at, old := path+"."+name, v[name]
			if !optional.MatchString(at) {
				delete(v, name)
				changed("no " + at)
			}
			replace(at, func(value any) { v[name] = value }, old)
		}
	case []any:
		for i := range v {
			replace(fmt.Sprintf("%s[%d]", path, i), func(value any) { v[i] = value }, v[i])
		}
	}
}

// TestSchemasBite changes what is in a sample of the vectors.
func TestSchemasBite(t *testing.T) {
	for _, f := range files(t) {
		s := schema(t, f.Area)
		count := 0
		for _, v := range samples(f) {
			doc := oneVector(t, f.Area, v)
			mutations(doc, f.Area, func(what string) {
				count++
				if s.Validate(doc) == nil {
					t.Errorf("%s, %s: the schema accepts %s", f.Area, v.ID, what)
				}
			})
			if err := s.Validate(doc); err != nil {
				t.Errorf("%s: %v", v.ID, err)
			}
		}
		if count == 0 && f.Area != "requests" { // where nothing succeeds
			t.Errorf("%s: nothing was changed", f.Area)
		}
	}
}

// TestSchemasRefuse has the changes that need a thought.
func TestSchemasRefuse(t *testing.T) {
	vectors := map[string]testvectors.Vector{}
	for _, f := range files(t) {
		for _, v := range f.Vectors {
			vectors[f.Area+"/"+v.ID] = v
		}
	}
	const (
		generate  = "keys/generate-rfc-8032-test-1"
		build     = "assertions/build-captured-background"
		refused   = "assertions/build-task-id-empty-refused"
		verify    = "envelopes/verify-captured-background"
		decide    = "decisions/decide-rule-1-nobody"
		flow      = "flows/captured-enabled"
		misled    = "flows/start-profile-refused"
		noFlow    = "flows/first-event-loaded-refused"
		file      = "files/file-swap-bind-mount"
		noRequest = "requests/request-other-type-refused"
		claims    = "identity-jwts/identity-jwt-usual"
		imported  = "key-forms/import-seed-bytes"
		exported  = "key-forms/export-private-jwk-captured"
		inside    = "surfaces/locate-path-plugins"
		noted     = "flows/backend-noted"
		problem   = "flows/problem-not_signed_in-models"
		unread    = "credentials/read-tokens-null"
	)
	for _, tt := range []struct{ vector, at, value string }{
		{generate, "version", `2`},
		{generate, "version", `"1"`},
		{generate, "area", `"assertions"`},
		{generate, "vectors", `[]`},
		{generate, "vectors.0.id", `""`},
		{generate, "vectors.0.id", `"with spaces"`},
		{generate, "vectors.0.id", `"with/slash"`},
		{generate, "vectors.0.comment", `""`},
		{generate, "vectors.0.source", `""`},
		{generate, "vectors.0.method", `"key.parse"`},
		{generate, "vectors.0.method", `"assertion.build"`},
		{generate, "vectors.0.error", `{"code":"internal"}`},
		{generate, "vectors.0.steps", `[{"event":{"type":"done","now":1},"effect":{"type":"lock"}}]`},
		{generate, "vectors.0.steps", `[]`},
		{generate, "vectors.0.params.entropy", `"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"`},
		{generate, "vectors.0.params.entropy", `{"hex":"9d61"}`},
		{generate, "vectors.0.params.entropy", `{"utf8":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}`},
		{generate, "vectors.0.params.entropy.hex", `"9D61B19DEFFD5A60BA844AF492EC2CC44449C5697B326919703BAC031CAE7F60"`},
		{generate, "vectors.0.params.entropy.hex", `"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f6"`},
		{generate, "vectors.0.params.entropy", `{"hex":"00","utf8":""}`},
		{generate, "vectors.0.ok.private_key", `"not base64"`},
		{generate, "vectors.0.ok.public_key", `"ssh-rsa AAAA"`},
		{generate, "vectors.0.ok.public_key", `{"utf8":"ssh-ed25519 AAAA"}`},
		{imported, "vectors.0.params.key", `"x"`},
		{imported, "vectors.0.params.bytes", `{"hex":""}`},
		{exported, "vectors.0.params.format", `"raw"`},
		{exported, "vectors.0.params.format", `"spki"`},
		{exported, "vectors.0.params.public_key", `"x"`},
		{exported, "vectors.0.params.private_key", `""`},
		{exported, "vectors.0.ok", `{"bytes":{"hex":"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"}}`},
		{build, "vectors.0.ok.header", `"Bearer x"`},
		{build, "vectors.0.ok.header", `"AgentAssertion a=="`},
		{build, "vectors.0.ok.valid_until", `"1795533368"`},
		{build, "vectors.0.params.now", `1795533368.5`},
		{build, "vectors.0.ok", `[]`},
		// What is refused has the members that its method takes, and a code.
		{refused, "vectors.0.error", `"invalid_task_id"`},
		{refused, "vectors.0.error.code", `"invalid"`},
		{refused, "vectors.0.error.message", `"is empty"`},
		{refused, "vectors.0.params.taskid", `""`},
		{refused, "vectors.0.params.now", `"1"`},
		{verify, "vectors.0.params.skew", `-1`},
		{verify, "vectors.0.params.public_key", `"x"`},
		{verify, "vectors.0.ok.canonical", `"true"`},
		{verify, "vectors.0.ok.envelope.timestamp", `"2026-11-24 15:16:08Z"`},
		{verify, "vectors.0.ok.envelope.signature", `"AAAA"`},
		{decide, "vectors.0.params.config.profile", `"biscuit"`},
		{decide, "vectors.0.params.config.forced_workspace_ids", `[]`},
		{decide, "vectors.0.params.config.trusted_hosts", `[]`},
		{decide, "vectors.0.params.credentials.fedramp", `false`},
		{decide, "vectors.0.params.surface", `"Models"`},
		{decide, "vectors.0.ok.account_id", `""`},
		{claims, "vectors.0.ok.record", ``},
		{claims, "vectors.0.ok.credentials.kind", `"x"`},
		{inside, "vectors.0.ok.scope", ``},
		{inside, "vectors.0.ok.inside", `false`},
		{noRequest, "vectors.0.error.code", `"invalid_entropy"`},
		{noRequest, "vectors.0.params", `[]`},
		{flow, "vectors.0.steps", `[]`},
		{flow, "vectors.0.steps.0.error", `{"code":"internal"}`},
		{flow, "vectors.0.steps.0.effect", ``},
		{flow, "vectors.0.steps.0.event.surface", `"teleport"`},
		{flow, "vectors.0.steps.0.event.thread_id", `""`},
		{flow, "vectors.0.steps.0.event.record", `{"utf8":"{}"}`},
		{flow, "vectors.0.steps.0.effect.slot", `"thread/"`},
		{flow, "vectors.0.steps.1.event.record", `{"hex":""}`},
		{flow, "vectors.0.steps.2.effect.slot", `"backoff"`},
		{flow, "vectors.0.steps.2.effect.slot", ``},
		{flow, "vectors.0.steps.5.effect.slot", `"set-aside"`},
		{flow, "vectors.0.steps.9.effect.slot", `"thread/1"`},
		{flow, "vectors.0.steps.9.effect.record", ``}, // which leaves a swap of nothing for nothing
		{flow, "vectors.0.steps.12.effect.expected", `{"hex":""}`},
		{noted, "vectors.0.steps.2.effect.record", ``},
		{noted, "vectors.0.steps.2.effect.slot", `"identity"`},
		{problem, "vectors.0.steps.0.event.credentials.problem.message", ``},
		{unread, "vectors.0.ok.problem.message", `"x"`},
		{flow, "vectors.0.steps.6.effect.size", `0`},
		{flow, "vectors.0.steps.7.event.entropy", `{"hex":""}`},
		{flow, "vectors.0.steps.7.effect.method", `"PUT"`},
		{flow, "vectors.0.steps.7.effect.url", `"/v1"`},
		{flow, "vectors.0.steps.7.effect.headers", `[]`},
		{flow, "vectors.0.steps.7.effect.headers.0.name", `"Authorization"`},
		{flow, "vectors.0.steps.7.effect.response_headers", `[]`},
		{flow, "vectors.0.steps.8.event.status", `-1`},
		{flow, "vectors.0.steps.13.effect.authorization.mode", `"bearer"`},
		{flow, "vectors.0.steps.13.effect.authorization.mode", `"none"`},
		{flow, "vectors.0.steps.13.effect.authorization.header", `"Bearer x"`},
		{flow, "vectors.0.steps.13.effect.authorization.account_id", ``},
		{flow, "vectors.0.steps.13.effect.authorization.cause", `{"code":"internal"}`},
		{flow, "vectors.0.steps.13.effect.state", `{"hex":"00"}`},
		{file, "vectors.0.method", `"flow.step"`},
		{file, "vectors.0.method", ``},
		{file, "vectors.0.params", `{}`},
		{file, "vectors.0.steps.0.event.operation", `"save"`},
		{file, "vectors.0.steps.0.event.slot", `"thread/"`},
		{file, "vectors.0.steps.0.event.beside", `false`},
		{file, "vectors.0.steps.0.effect.name", `"target"`},
		{file, "vectors.0.steps.0.effect.timeout_ms", `0`},
		{file, "vectors.0.steps.4.event.content", `{"hex":""}`},
		{file, "vectors.0.steps.4.event.stat.links", `0`},
		{file, "vectors.0.steps.4.event.stat.mode", `4096`},
		{file, "vectors.0.steps.4.event.failure", `"busy"`},
		{misled, "vectors.0.steps.0.event.type", ``},
		{misled, "vectors.0.steps.0.event.now", `"1"`},
		{misled, "vectors.0.steps.0.event.surfaces", `"models"`},
		{misled, "vectors.0.steps.0.event.config", `null`},
		{noFlow, "vectors.0.error", ``},
		{noFlow, "vectors.0.params.state", `{"hex":""}`},
	} {
		area, _, _ := strings.Cut(tt.vector, "/")
		v, ok := vectors[tt.vector]
		if !ok {
			t.Errorf("there is no vector %s", tt.vector)
			continue
		}
		doc := oneVector(t, area, v)
		if err := schema(t, area).Validate(doc); err != nil {
			t.Errorf("%s: %v", tt.vector, err)
		}
		set(t, doc, tt.at, tt.value)
		if schema(t, area).Validate(doc) == nil {
			t.Errorf("%s: the schema accepts %s = %q", tt.vector, tt.at, tt.value)
		}
	}
}

// set sets a member to a JSON text, or removes it where there is none.
func set(t *testing.T, doc any, at, text string) {
	t.Helper()
	names := strings.Split(at, ".")
	for _, name := range names[:len(names)-1] {
		switch v := doc.(type) {
		case map[string]any:
			doc = v[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(v) {
				t.Fatalf("%s: there is no %s", at, name)
			}
			doc = v[i]
		}
	}
	members, ok := doc.(map[string]any)
	if !ok {
		t.Fatalf("%s is in no object", at)
	}
	last := names[len(names)-1]
	if text == "" {
		if _, ok := members[last]; !ok {
			t.Fatalf("%s is not there", at)
		}
		delete(members, last)
		return
	}
	members[last] = document(t, []byte(text))
}

// Only refusals may have params that no method takes.
func TestSchemasAreLooseOnlyWhereRefused(t *testing.T) {
	v := testvectors.Vector{
		ID: "x", Comment: "c", Source: "s", Method: "key.parse", Params: json.RawMessage(`{"private_key":1}`),
		Error: &testvectors.Error{Code: "invalid_request"},
	}
	if err := schema(t, "requests").Validate(oneVector(t, "requests", v)); err != nil {
		t.Error(err)
	}
	v.Error, v.OK = nil, json.RawMessage(`{}`)
	if schema(t, "requests").Validate(oneVector(t, "requests", v)) == nil {
		t.Error("the schema accepts bad params that succeed")
	}
}

// The lists in the schemas are the core's.
func TestSchemasKnowTheCore(t *testing.T) {
	common, err := os.ReadFile("../schema/common.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Defs map[string]struct{ Enum []string } `json:"$defs"`
	}
	if err := json.Unmarshal(common, &parsed); err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("../../core/errors.go")
	if err != nil {
		t.Fatal(err)
	}
	codes, surfaces := []string{}, []string{core.SurfaceBackground}
	for _, m := range regexp.MustCompile(`\bCode\w+ += "(\w+)"`).FindAllSubmatch(source, -1) {
		codes = append(codes, string(m[1]))
	}
	for _, s := range core.Surfaces() {
		surfaces = append(surfaces, s.Name)
	}
	for name, want := range map[string][]string{"code": codes, "surface": surfaces} {
		got := parsed.Defs[name].Enum
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("the schema's %s is %q, the core's %q", name, got, want)
		}
	}
}
