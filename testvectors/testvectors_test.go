package testvectors_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/fxamacker/cbor/v2"

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

// callCore answers requests with the core, without WebAssembly.
func callCore() func([]byte) ([]byte, error) {
	guest := core.NewGuest()
	return func(request []byte) ([]byte, error) { return guest.Call(request), nil }
}

func TestCore(t *testing.T) {
	call := callCore()
	for _, f := range files(t) {
		t.Run(f.Area, func(t *testing.T) {
			for _, v := range f.Vectors {
				if err := v.Check(call); err != nil {
					t.Errorf("%v\n\t%s (%s)", err, v.Comment, v.Source)
				}
			}
		})
	}
}

// The examples of README.md.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files(t) {
		if row := fmt.Sprintf("| `%s.json` | %d |", f.Area, len(f.Vectors)); !bytes.Contains(readme, []byte(row)) {
			t.Errorf("README.md does not have the row %s", row)
		}
	}
	hosts, err := testvectors.LoadHosts()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range hosts {
		if text := fmt.Sprintf("`hosts/%s.json`, %d more,", f.Area, len(f.Vectors)); !bytes.Contains(readme, []byte(text)) {
			t.Errorf("README.md does not say %s", text)
		}
	}
	_, example, _ := strings.Cut(string(readme), "```json\n")
	example, rest, _ := strings.Cut(example, "\n```")
	_, dump, _ := strings.Cut(rest, "```\n")
	dump, _, _ = strings.Cut(dump, "\n```")
	got, err := testvectors.Encode(json.RawMessage(example))
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Join(strings.Fields(dump), ""); hex.EncodeToString(got) != want {
		t.Errorf("README.md's example is %x, not %s", got, want)
	}
}

func TestConversion(t *testing.T) {
	for _, c := range []struct{ json, cbor string }{
		{`{}`, "a0"},
		{`{"a":1,"b":[2,3]}`, "a26161016162820203"},
		// The shorter name goes first, whatever its letters.
		{`{"aa":true,"b":false}`, "a26162f4626161f5"},
		{`0`, "00"},
		{`23`, "17"},
		{`24`, "1818"},
		{`-1`, "20"},
		{`-62167219200`, "3b0000000e79747bff"},
		{`9223372036854775807`, "1b7fffffffffffffff"},
		{`-9223372036854775808`, "3b7fffffffffffffff"},
		{`""`, "60"},
		{`"a\u2028🦀"`, "6861e280a8f09fa680"},
		{`"\ud83e\udd80\\ud800\ufffd"`, "6df09fa6805c7564383030efbfbd"},
		{`{"hex":"00ff"}`, "4200ff"},
		{`{"utf8":"{\"a\": \"é\"}\n"}`, "4c7b2261223a2022c3a9227d0a"},
		{`{"utf8":""}`, "40"},
		// Only alone do the two names stand for bytes.
		{`{"hex":"00","utf8":""}`, "a263686578623030647574663860"},
	} {
		want, err := hex.DecodeString(c.cbor)
		if err != nil {
			t.Fatal(err)
		}
		got, err := testvectors.Encode(json.RawMessage(c.json))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("Encode(%s) = %x, %v; want %x", c.json, got, err, want)
		}
		back, err := testvectors.Decode(want)
		if err != nil || !equalJSON(t, back, json.RawMessage(c.json)) {
			t.Errorf("Decode(%x) = %s, %v; want %s", want, back, err, c.json)
		}
	}
	for _, refused := range []string{
		`null`, `1.5`, `1e3`, `9223372036854775808`, `[null]`, `{"a":null}`, `{"hex":"0"}`, `{} {}`, ``, `[`, `{`, `{"a"`, `{"a":`, `[1,]`, `{"a":1,}`,
		`{1:2}`, `[1}`, `{"a":1]`, `{"a":1,"a":1}`, `{"a":1,"\u0061":1}`, `{"hex":"00","hex":"00"}`,
		`"\ud800"`, `"\udc00"`, `"\ud800\ud800"`, `"\udc00\ud800"`, `"\ud800\n"`, `{"\udfff":1}`, "\"\xff\"", "\"\xed\xa0\x80\"",
		strings.Repeat("[", 18) + strings.Repeat("]", 18), strings.Repeat("[", 1<<20),
	} {
		if got, err := testvectors.Encode(json.RawMessage(refused)); err == nil {
			t.Errorf("Encode(%.50s) = %x; want an error", refused, got)
		}
		if testvectors.Valid(json.RawMessage(refused)) == nil {
			t.Errorf("Valid(%.50s) has nothing against it", refused)
		}
	}
	for name, refused := range map[string]string{
		"null":              "f6",
		"a float":           "f90000",
		"a tag":             "c000",
		"an integer as key": "a10000",
		"a long form":       "1800",
		"an open array":     "9fff",
		"unsorted keys":     "a2616200616100",
		"equal keys":        "a2616100616100",
		"invalid UTF-8":     "61ff",
		"a second item":     "0000",
		"nothing":           "",
	} {
		data, err := hex.DecodeString(refused)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := testvectors.Decode(data); err == nil {
			t.Errorf("Decode accepts %s, as %s", name, got)
		}
	}
}

func TestConversionOfEveryVector(t *testing.T) {
	for _, f := range files(t) {
		for _, v := range f.Vectors {
			values := []json.RawMessage{v.Params, v.OK}
			for _, s := range v.Steps {
				values = append(values, s.Event, s.Effect)
			}
			for _, value := range values {
				if value == nil {
					continue
				}
				encoded, err := testvectors.Encode(value)
				if err != nil {
					t.Fatalf("%s: %v", v.ID, err)
				}
				decoded, err := testvectors.Decode(encoded)
				if err != nil {
					t.Fatalf("%s: %v", v.ID, err)
				}
				if again, err := testvectors.Encode(decoded); err != nil || !bytes.Equal(again, encoded) {
					t.Errorf("%s: the value does not survive Decode and Encode (%v)", v.ID, err)
				}
			}
		}
	}
}

// Check has to notice whatever is wrong with a response: each leaf of each
// response is changed in turn.
func TestCheckNoticesEveryChange(t *testing.T) {
	for _, f := range files(t) {
		for _, v := range f.Vectors {
			if len(v.Steps) > 0 && !strings.HasPrefix(v.ID, "captured-") {
				continue
			}
			if v.Check(callCore()) != nil {
				continue // TestCore has the details
			}
			for target := 0; ; target++ {
				left := target
				call := callCore()
				err := v.Check(func(request []byte) ([]byte, error) {
					response, err := call(request)
					if err != nil || left < 0 {
						return response, err
					}
					return change(t, response, &left), nil
				})
				if left >= 0 {
					break // there are no more leaves
				}
				if err == nil {
					t.Errorf("%s: Check does not notice a change of leaf %d", v.ID, target)
				}
			}
		}
	}
}

func TestCheckNamesTheFirstDifference(t *testing.T) {
	vector := testvectors.Vector{ID: "x", Method: "key.parse", Params: json.RawMessage(`{}`)}
	for _, c := range []struct{ want, got, err string }{
		{`{"a":{"b":[1,2]}}`, `{"ok":{"a":{"b":[1,3]}}}`, `x: ok.a.b[1]: got 3; want 2`},
		{`{"a":1}`, `{"ok":{"a":1,"b":{"utf8":"<t>"}}}`, `x: ok.b: got {"utf8":"<t>"}; want nothing`},
		{`{"a":1}`, `{"ok":{}}`, `x: ok.a: got nothing; want 1`},
		{`{"a":1}`, `{"ok":{"a":{"hex":"ff"}}}`, `x: ok.a: got {"hex":"ff"}; want 1`},
		{`{}`, `{"error":{"code":"internal","message":"m"}}`, `x: response: got {"error":{"code":"internal"}}; want {"ok":{}}`},
		{`{"a":"abcd"}`, `{"ok":{"a":"abXd"}}`, `x: ok.a: got "abXd"; want "abcd"; they differ from byte 2 on`},
		{`{"a":"abcd"}`, `{"ok":{"a":"abc"}}`, `x: ok.a: got "abc"; want "abcd"; they differ from byte 3 on`},
		{`{"a":{"hex":"00ff"}}`, `{"ok":{"a":{"utf8":""}}}`, `x: ok.a: got {"utf8":""}; want {"hex":"00ff"}; they differ from byte 0 on`},
		{`{"a":"x"}`, `{"ok":{"a":{"utf8":"x"}}}`, `x: ok.a: got {"utf8":"x"}; want "x"`},
		{`{"a":[1]}`, `{"ok":{"a":[1,2]}}`, `x: ok.a: got [1,2]; want [1]`},
		{`{}`, `{"error":{"code":"internal"}}`, `x: error: there is no message for people`},
		{`{}`, `{"ok":{},"error":{"code":"internal","message":"m"}}`, `x: response: neither {ok} nor {error}, but {"error":{"code":"internal","message":"m"},"ok":{}}`},
		{`{}`, `{}`, `x: response: neither {ok} nor {error}, but {}`},
	} {
		vector.OK = json.RawMessage(c.want)
		err := vector.Check(func([]byte) ([]byte, error) { return testvectors.Encode(json.RawMessage(c.got)) })
		if err == nil || err.Error() != c.err {
			t.Errorf("want %s, got %s: the error is %v; want %s", c.want, c.got, err, c.err)
		}
		err = vector.CheckJSON(func(int, json.RawMessage) (json.RawMessage, error) { return json.RawMessage(c.got), nil })
		if err == nil || err.Error() != c.err {
			t.Errorf("want %s, got %s: in JSON the error is %v; want %s", c.want, c.got, err, c.err)
		}
	}
}

// A flow's errors say at which step.
func TestCheckNamesTheStep(t *testing.T) {
	vector := testvectors.Vector{ID: "x", Steps: []testvectors.Step{
		{Event: json.RawMessage(`{"type":"start"}`), Effect: json.RawMessage(`{"type":"lock"}`)},
		{Event: json.RawMessage(`{"type":"done"}`), Error: &testvectors.Error{Code: "unexpected_event"}},
		{Event: json.RawMessage(`{"type":"done"}`), Effect: json.RawMessage(`{"type":"done","authorization":{"cause":{"code":"c"}}}`)},
	}}
	first, second := `{"ok":{"state":{"utf8":"s"},"effect":{"type":"lock"}}}`, `{"error":{"code":"unexpected_event","message":"m"}}`
	requests := []string{
		`{"method":"flow.step","params":{"event":{"type":"start"}}}`,
		`{"method":"flow.step","params":{"event":{"type":"done"},"state":{"hex":"73"}}}`,
		`{"method":"flow.step","params":{"event":{"type":"done"},"state":{"hex":"73"}}}`,
	}
	for _, c := range []struct {
		responses []string
		err       string
	}{
		{[]string{`{"ok":{"effect":{"type":"lock"}}}`}, `x: steps[0].state: got nothing; want a state after the effect lock`},
		{[]string{`{"ok":{"state":{"hex":""},"effect":{"type":"lock"}}}`}, `x: steps[0].state: got {"utf8":""}; want a byte string that is not empty`},
		{[]string{`{"ok":{"state":"s","effect":{"type":"lock"}}}`}, `x: steps[0].state: got "s"; want a byte string that is not empty`},
		{[]string{`{"ok":{"state":{"utf8":"s"},"effect":{"type":"load"}}}`}, `x: steps[0].effect.type: got "load"; want "lock"; they differ from byte 2 on`},
		{[]string{`1.5`}, `x: steps[0]: the response cannot be read: strconv.ParseInt: parsing "1.5": invalid syntax`},
		{[]string{first, first}, `x: steps[1]: got {"effect":{"type":"lock"}}; want {"error":{"code":"unexpected_event"}}`},
		{[]string{first, `{"error":{"code":"unexpected_event","message":" "}}`}, `x: steps[1].error: there is no message for people`},
		{[]string{first, second, `{"ok":{"effect":{"type":"done","authorization":{"cause":{"code":"c"}}}}}`}, `x: steps[2].effect.authorization.cause: there is no message for people`},
		{[]string{first, second, `{"ok":{"state":{"utf8":"s"},"effect":{"type":"done","authorization":{"cause":{"code":"c","message":"m"}}}}}`}, `x: steps[2].state: got {"utf8":"s"}; want nothing after the effect done, without an assertion or after the event again`},
		{[]string{first, second, ``}, `x: steps[2]: the call failed: no response`},
		{[]string{first, second, `{"ok":{"effect":{"type":"done","authorization":{"cause":{"code":"c","message":"m"}}}}}`}, ``},
	} {
		got := ""
		if err := vector.CheckJSON(func(step int, request json.RawMessage) (json.RawMessage, error) {
			if string(request) != requests[step] {
				t.Errorf("the request of step %d is %s", step, request)
			}
			if c.responses[step] == "" {
				return nil, errors.New("no response")
			}
			return json.RawMessage(c.responses[step]), nil
		}); err != nil {
			got = err.Error()
		}
		if got != c.err {
			t.Errorf("%s: the error is %q; want %q", c.responses, got, c.err)
		}
	}
}

// Other assertions come from the state that a flow has ended with, and bring none.
func TestCheckKeepsTheLastState(t *testing.T) {
	done := json.RawMessage(`{"type":"done","authorization":{"mode":"agent-assertion"}}`)
	again := testvectors.Step{Event: json.RawMessage(`{"type":"again"}`), Effect: done}
	vector := testvectors.Vector{ID: "x", Steps: []testvectors.Step{{Event: json.RawMessage(`{"type":"start"}`), Effect: done}, again, again}}
	for _, c := range []struct{ state, err string }{
		{``, ``},
		{`"state":{"utf8":"t"},`, `x: steps[1].state: got {"utf8":"t"}; want nothing after the effect done, without an assertion or after the event again`},
	} {
		got := ""
		if err := vector.CheckJSON(func(step int, request json.RawMessage) (json.RawMessage, error) {
			if step == 0 {
				return json.RawMessage(`{"ok":{"state":{"utf8":"s"},"effect":` + string(done) + `}}`), nil
			}
			if want := `{"method":"flow.step","params":{"event":{"type":"again"},"state":{"hex":"73"}}}`; string(request) != want {
				t.Errorf("the request of step %d is %s", step, request)
			}
			return json.RawMessage(`{"ok":{` + c.state + `"effect":` + string(done) + `}}`), nil
		}); err != nil {
			got = err.Error()
		}
		if got != c.err {
			t.Errorf("the error is %q; want %q", got, c.err)
		}
	}
}

func TestLoadSet(t *testing.T) {
	set, err := testvectors.LoadSet(testvectors.FS)
	if err != nil || set.Version != testvectors.SetVersion() || len(set.Files) != len(files(t)) {
		t.Errorf("the set has version %q and %d files (%v)", set.Version, len(set.Files), err)
	}
	const vector = `{"id":"x","comment":"c","source":"s","method":"m","params":{},"ok":{}}`
	file := func(area, vectors string) string {
		return `{"version":1,"area":"` + area + `","vectors":[` + vectors + `]}`
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		err   string // part of it; empty where the set is good
	}{
		{"good", map[string]string{"VERSION": "2.10.0\n", "a.json": file("a", vector), "b.json": file("b", ""), "README.md": "", "schema/a.json": "{"}, ""},
		{"no version", map[string]string{"a.json": file("a", vector)}, "VERSION"},
		{"a version of two parts", map[string]string{"VERSION": "1.0", "a.json": file("a", vector)}, `"1.0"`},
		{"a version with a leading zero", map[string]string{"VERSION": "1.0.01", "a.json": file("a", vector)}, `"1.0.01"`},
		{"no files", map[string]string{"VERSION": "1.0.0"}, "no file of vectors"},
		{"another format", map[string]string{"VERSION": "1.0.0", "a.json": `{"version":2,"area":"a","vectors":[]}`}, "a.json: the format's version is 2, not 1"},
		{"another area", map[string]string{"VERSION": "1.0.0", "a.json": file("b", vector)}, `the area is "b"`},
		{"an id twice", map[string]string{"VERSION": "1.0.0", "a.json": file("a", vector), "b.json": file("b", vector)}, `the id "x"`},
		{"an unknown member", map[string]string{"VERSION": "1.0.0", "a.json": file("a", `{"x":1}`)}, "unknown field"},
		{"no id", map[string]string{"VERSION": "1.0.0", "a.json": file("a", `{"params":{},"ok":{}}`)}, "an id, a comment and a source"},
		{"two files in one", map[string]string{"VERSION": "1.0.0", "a.json": file("a", vector) + "{}"}, "text after the end"},
	} {
		fsys := fstest.MapFS{}
		for name, text := range c.files {
			fsys[name] = &fstest.MapFile{Data: []byte(text)}
		}
		set, err := testvectors.LoadSet(fsys)
		if c.err == "" {
			if err != nil || set.Version != "2.10.0" || len(set.Files) != 2 || set.Files[0].Area != "a" {
				t.Errorf("%s: %+v, %v", c.name, set, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: the error is %v; want %q in it", c.name, err, c.err)
		}
	}
}

// FuzzValid: what is accepted is JSON that package json reads, and survives CBOR.
func FuzzValid(f *testing.F) {
	for _, seed := range []string{`{"a":[1,{"hex":"00"},true],"b":"\ud83e\udd80"}`, `{"a":1,"a":2}`, `"\ud800"`, `[[[[]]]]`, `{"utf8":"x"}`, `-0`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if testvectors.Valid(text) != nil {
			return
		}
		if !json.Valid(text) {
			t.Fatalf("%q is no JSON", text)
		}
		encoded, err := testvectors.Encode(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		decoded, err := testvectors.Decode(encoded)
		if err != nil {
			return // nested more deeply than CBOR may be
		}
		if again, err := testvectors.Encode(decoded); err != nil || !bytes.Equal(again, encoded) {
			t.Errorf("%q becomes %q (%v)", text, decoded, err)
		}
	})
}

// change returns the response with one leaf changed, the one that remains when
// *left is counted down to 0; it then becomes negative. States and messages do not
// count: they are not pinned.
func change(t *testing.T, response []byte, left *int) []byte {
	t.Helper()
	var v any
	mode, err := cbor.DecOptions{DefaultMapType: reflect.TypeFor[map[string]any]()}.DecMode()
	if err != nil {
		t.Fatal(err)
	}
	if err := mode.Unmarshal(response, &v); err != nil {
		t.Fatal(err)
	}
	var walk func(v any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				if name != "state" && name != "message" {
					v[name] = walk(v[name])
				}
			}
			return v
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
			return v
		}
		*left--
		if *left != -1 {
			return v
		}
		switch v := v.(type) {
		case string:
			return v + "x"
		case []byte:
			return append(v, 'x')
		case bool:
			return !v
		case uint64:
			return v ^ 1
		case int64:
			return v ^ 1
		}
		t.Fatalf("a %T in a response", v)
		return nil
	}
	encode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	changed, err := encode.Marshal(walk(v))
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

func equalJSON(t *testing.T, a, b json.RawMessage) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(x, y)
}
