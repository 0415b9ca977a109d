package schemacheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/testvectors"
	"github.com/agentassert/agentassert/testvectors/conformance"
)

// asRunner makes the test binary a runner.
const asRunner = "as-runner"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asRunner {
		if err := serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serve is a runner with the core that ends at a line, of either end, that is not what
// the schema says.
func serve(in io.Reader, out io.Writer) error {
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join("..", "schema", "runner.schema.json"))
	if err != nil {
		return err
	}
	guest := core.NewGuest()
	kit, answers := &checkedLines{schema: schema}, &checkedLines{schema: schema}
	err = conformance.Serve(context.Background(), io.TeeReader(in, kit), io.MultiWriter(answers, out),
		func(request []byte) ([]byte, error) { return guest.Call(request), nil })
	if err == nil && (len(kit.rest) > 0 || len(answers.rest) > 0) {
		err = errors.New("the last line has no end")
	}
	return err
}

// checkedLines takes lines, and refuses those that are not what the schema says.
type checkedLines struct {
	schema *jsonschema.Schema
	rest   []byte // of a line that has not ended
}

func (c *checkedLines) Write(text []byte) (int, error) {
	c.rest = append(c.rest, text...)
	for {
		line, rest, ended := bytes.Cut(c.rest, []byte("\n"))
		if !ended {
			return len(text), nil
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err == nil {
			err = c.schema.Validate(document)
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", line, err)
		}
		c.rest = rest
	}
}

// TestLines: what the kit and a runner write for each vector is what the schema says.
func TestLines(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	report, err := conformance.Run(t.Context(), conformance.Options{
		Command: `"` + self + `" ` + asRunner, Set: testvectors.Set{Version: testvectors.SetVersion(), Files: files(t)}, Stderr: &stderr,
	})
	if err != nil {
		t.Fatal(err)
	}
	if total := report.Total(); total.Passed != total.Total() || total.Passed == 0 {
		t.Errorf("%d of %d passed: %s", total.Passed, total.Total(), stderr.String())
	}
}

// TestCheckedLines: a runner of the test's refuses what is no line.
func TestCheckedLines(t *testing.T) {
	for in, want := range map[string]bool{
		`{"id":"x","area":"keys","request":{"method":"key.parse","params":{}}}` + "\n":               true,
		`{"id":"x","area":"keys","request":{"method":"key.parse","params":{}}}`:                      false,
		`{"id":"x","area":"keys","expected":{},"request":{"method":"key.parse","params":{}}}` + "\n": false,
	} {
		if err := serve(bytes.NewReader([]byte(in)), io.Discard); (err == nil) != want {
			t.Errorf("%s: %v", in, err)
		}
	}
}

// TestSchemaOfLinesBites: what is no line of either end is refused.
func TestSchemaOfLinesBites(t *testing.T) {
	lines := schema(t, "runner")
	const request = `"request":{"method":"key.parse","params":{}}`
	for text, want := range map[string]bool{
		`{"id":"x","area":"keys",` + request + `}`:                                                                       true,
		`{"id":"x","area":"keys","expected":{},` + request + `}`:                                                         false,
		`{"id":"x",` + request + `}`:                                                                                     false,
		`{"id":1,"area":"keys",` + request + `}`:                                                                         false,
		`{"id":"x","area":"keys","step":0,` + request + `}`:                                                              false,
		`{"id":"x","area":"flows","step":0,"request":{"method":"flow.step","params":{"event":{}}}}`:                      true,
		`{"id":"x","area":"flows","step":1,"request":{"method":"flow.step","params":{"event":{},"state":{"hex":"00"}}}}`: true,
		`{"id":"x","area":"flows","step":1,"request":{"method":"flow.step","params":{"event":{},"state":{"utf8":"a"}}}}`: false,
		`{"id":"x","area":"flows","step":-1,"request":{"method":"flow.step","params":{"event":{}}}}`:                     false,
		`{"id":"x","area":"keys","request":{"method":"key.parse","params":{"a":null}}}`:                                  false,
		`{"id":"x","response":{"ok":{}}}`:                                                                                true,
		`{"id":"x","response":{"ok":{"a":[1,true,{"hex":"00"}]}}}`:                                                       true,
		`{"id":"x","response":{"ok":{"a":1.5}}}`:                                                                         false,
		`{"id":"x","response":{"ok":[]}}`:                                                                                false,
		`{"id":"x","response":{}}`:                                                                                       false,
		`{"id":"x","response":{"error":{"code":"internal","message":"m"}}}`:                                              true,
		`{"id":"x","response":{"error":{"code":"internal"}}}`:                                                            false,
		`{"id":"x","response":{"error":{"code":"internal","message":" "}}}`:                                              false,
		`{"id":"x","response":{"error":{"code":"Internal!","message":"m"}}}`:                                             false,
		`{"id":"x","response":{"ok":{},"error":{"code":"internal","message":"m"}}}`:                                      false,
		`{"id":"x","unsupported":true}`:                                                                                  true,
		`{"id":"x","unsupported":false}`:                                                                                 false,
		`{"id":"x","unsupported":true,"response":{"ok":{}}}`:                                                             false,
		`{"id":"x"}`:           false,
		`{"unsupported":true}`: false,
		`[]`:                   false,
	} {
		if err := lines.Validate(document(t, []byte(text))); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}
