// Package testvectors holds test vectors for the AgentAssertion protocol, and runs
// them against anything that answers the ABI of package wire: the core, the
// WebAssembly module in a sandbox, or another implementation behind an adapter.
//
// README.md describes the format, which needs neither Go nor this package.
package testvectors

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// FS holds the files of vectors and, in captures, the transcripts of the real
// client.
//
//go:embed *.json captures/*
var FS embed.FS

// Version is the version of the format that this package reads.
const Version = 1

// File is one file of vectors.
type File struct {
	Version int `json:"version"`
	// Area is the file's name without its extension.
	Area    string   `json:"area"`
	Vectors []Vector `json:"vectors"`
}

// Vector is one scenario: a call, with Method and Params and either OK or Error,
// or a flow, with Steps.
type Vector struct {
	// ID is unique among all files.
	ID string `json:"id"`
	// Comment says what the vector shows, Source where its expected values come
	// from.
	Comment string `json:"comment"`
	Source  string `json:"source"`

	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	OK     json.RawMessage `json:"ok,omitempty"`
	Error  *Error          `json:"error,omitempty"`

	Steps []Step `json:"steps,omitempty"`
}

// Step is one step of a flow: what the host says, and either the effect that the
// flow asks for in return, or an error, after which the state is the one before.
type Step struct {
	Event  json.RawMessage `json:"event"`
	Effect json.RawMessage `json:"effect,omitempty"`
	Error  *Error          `json:"error,omitempty"`
}

// Error is an expected error. Its message is not pinned.
type Error struct {
	Code string `json:"code"`
}

// Load returns all files, in the order of their names.
func Load() ([]File, error) {
	entries, err := FS.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var files []File
	seen := make(map[string]bool)
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		f, err := load(entry.Name(), seen)
		if err != nil {
			return nil, fmt.Errorf("testvectors: %s: %w", entry.Name(), err)
		}
		files = append(files, f)
	}
	return files, nil
}

func load(name string, seen map[string]bool) (File, error) {
	data, err := FS.ReadFile(name)
	if err != nil {
		return File{}, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var f File
	if err := d.Decode(&f); err != nil {
		return File{}, err
	}
	if _, err := d.Token(); err != io.EOF {
		return File{}, errors.New("text after the end")
	}
	if f.Version != Version {
		return File{}, fmt.Errorf("the format's version is %d, not %d", f.Version, Version)
	}
	if f.Area+".json" != name {
		return File{}, fmt.Errorf("the area is %q", f.Area)
	}
	for _, v := range f.Vectors {
		if seen[v.ID] {
			return File{}, fmt.Errorf("two vectors have the id %q", v.ID)
		}
		seen[v.ID] = true
		if err := v.validate(); err != nil {
			return File{}, fmt.Errorf("%s: %w", v.ID, err)
		}
	}
	return f, nil
}

func (v Vector) validate() error {
	if v.ID == "" || v.Comment == "" || v.Source == "" {
		return errors.New("an id, a comment and a source have to be there")
	}
	if len(v.Steps) > 0 {
		if v.Method != "" || v.Params != nil || v.OK != nil || v.Error != nil {
			return errors.New("a flow has steps, and nothing else")
		}
		for i, s := range v.Steps {
			if s.Event == nil || (s.Effect == nil) == (s.Error == nil) {
				return fmt.Errorf("step %d: want an event, and either an effect or an error", i)
			}
		}
		return nil
	}
	if v.Params == nil || (v.OK == nil) == (v.Error == nil) {
		return errors.New("a call has params, and either ok or error")
	}
	return nil
}

// Check runs one vector. The function takes the encoding of a request, and
// returns that of a response. The error says where the first difference is, and
// quotes both values.
func (v Vector) Check(call func(request []byte) ([]byte, error)) error {
	if err := v.check(call); err != nil {
		return fmt.Errorf("%s: %w", v.ID, err)
	}
	return nil
}

func (v Vector) check(call func(request []byte) ([]byte, error)) error {
	if len(v.Steps) > 0 {
		return checkFlow(v.Steps, call)
	}
	params, err := parse(v.Params)
	if err != nil {
		return fmt.Errorf("params: %w", err)
	}
	got, err := exchange(call, v.Method, params)
	if err != nil {
		return err
	}
	want, err := expected("ok", v.OK, v.Error)
	if err != nil {
		return err
	}
	return compareOutcome("", got, want)
}

func checkFlow(steps []Step, call func(request []byte) ([]byte, error)) error {
	var state any
	for i, s := range steps {
		path := fmt.Sprintf("steps[%d]", i)
		event, err := parse(s.Event)
		if err != nil {
			return fmt.Errorf("%s.event: %w", path, err)
		}
		params := map[string]any{"event": event}
		if state != nil {
			params["state"] = state
		}
		got, err := exchange(call, "flow.step", params)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		want, err := expected("effect", s.Effect, s.Error)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if ok, isMap := got["ok"].(map[string]any); isMap {
			state = ok["state"]
			delete(ok, "state")
			if err := forgetCauseMessage(ok["effect"]); err != nil {
				return fmt.Errorf("%s.effect.authorization.cause: %w", path, err)
			}
			got = ok
		}
		if err := compareOutcome(path, got, want); err != nil {
			return err
		}
		if s.Effect != nil {
			if err := checkState(state, want["effect"]); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	return nil
}

// expected is a response, or the part of it that a flow's step pins: the member
// with that name, or an error.
func expected(name string, value json.RawMessage, e *Error) (map[string]any, error) {
	if e != nil {
		return map[string]any{"error": map[string]any{"code": e.Code}}, nil
	}
	v, err := parse(value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return map[string]any{name: v}, nil
}

// compareOutcome compares two maps with one member each. Where one is an error and
// the other is not, it quotes both.
func compareOutcome(path string, got, want map[string]any) error {
	for name := range want {
		if _, ok := got[name]; !ok {
			return fmt.Errorf("%s: got %s; want %s", cmp.Or(path, "response"), show(got), show(want))
		}
	}
	return compare(path, got, want)
}

// checkState holds a flow to having a state until it is done, and none then.
func checkState(state, effect any) error {
	e, _ := effect.(map[string]any)
	b, _ := state.([]byte)
	if done := e["type"] == "done"; done != (len(b) == 0) {
		return fmt.Errorf("state: got %s after the effect %v", show(state), e["type"])
	}
	return nil
}

// exchange makes one call. The response's error is without its message.
func exchange(call func(request []byte) ([]byte, error), method string, params any) (map[string]any, error) {
	request, err := encode(map[string]any{"method": method, "params": params})
	if err != nil {
		return nil, fmt.Errorf("params: %w", err)
	}
	data, err := call(request)
	if err != nil {
		return nil, fmt.Errorf("the call failed: %w", err)
	}
	value, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("the response: %w", err)
	}
	response, _ := value.(map[string]any)
	_, hasOK := response["ok"]
	e, hasError := response["error"].(map[string]any)
	if len(response) != 1 || hasOK == hasError {
		return nil, fmt.Errorf("the response is neither {ok} nor {error}, but %s", show(value))
	}
	if hasError {
		if err := forgetMessage(e); err != nil {
			return nil, fmt.Errorf("error: %w", err)
		}
	}
	return response, nil
}

// forgetCauseMessage takes the message out of the cause in an effect, if there is
// one.
func forgetCauseMessage(effect any) error {
	e, _ := effect.(map[string]any)
	a, _ := e["authorization"].(map[string]any)
	if cause, ok := a["cause"].(map[string]any); ok {
		return forgetMessage(cause)
	}
	return nil
}

func forgetMessage(e map[string]any) error {
	if message, _ := e["message"].(string); strings.TrimSpace(message) == "" {
		return errors.New("there is no message for people")
	}
	delete(e, "message")
	return nil
}
