package wire

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// Every member is called the same in CBOR and in JSON.
func TestTags(t *testing.T) {
	tags := 0
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			f, ok := n.(*ast.Field)
			if !ok || f.Tag == nil {
				return true
			}
			text, err := strconv.Unquote(f.Tag.Value)
			if err != nil {
				t.Fatal(err)
			}
			tag := reflect.StructTag(text)
			if tags++; tag.Get("json") == "" || tag.Get("json") != tag.Get("cbor") {
				t.Errorf("%s: %s is called %q in CBOR and %q in JSON", e.Name(), f.Names[0].Name, tag.Get("cbor"), tag.Get("json"))
			}
			return true
		})
	}
	if tags < 200 {
		t.Errorf("only %d tags were found", tags)
	}
}

// What holds no secret is encoded, the rest by saying so, and all is decoded.
func TestJSON(t *testing.T) {
	d := Decision{Mode: "bearer", Reason: "feature-off"}
	if text, err := json.Marshal(d); err != nil || string(text) != `{"mode":"bearer","reason":"feature-off"}` {
		t.Errorf("%s, %v", text, err)
	}
	e := Envelope{AgentRuntimeID: "agent-1", Signature: "c2ln", TaskID: "task-1", Timestamp: "2026-11-24T15:16:08Z"}
	const want = `{"agent_runtime_id":"agent-1","signature":"c2ln","task_id":"task-1","timestamp":"2026-11-24T15:16:08Z"}`
	if text, err := json.Marshal(e); err != nil || strings.Contains(string(text), "agent-1") {
		t.Errorf("%s, %v", text, err)
	}
	type stored Envelope
	text, err := json.Marshal(stored(e))
	if err != nil || string(text) != want {
		t.Errorf("%s, %v", text, err)
	}
	var read Envelope
	if err := json.Unmarshal(text, &read); err != nil || read != e {
		t.Errorf("%+v, %v", stored(read), err)
	}
}
