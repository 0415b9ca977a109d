package testvectors

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Difference is the first place in which a response is not what a vector expects.
type Difference struct {
	// Path leads there, as in steps[3].effect.authorization.header.
	Path string
	// Problem says what is wrong, where it is not that two values differ.
	Problem string
	// Got and Want are the two values, in the JSON form of the vectors and
	// shortened; "nothing" where there is none.
	Got, Want string
	// GotBytes and WantBytes are the whole of two strings, or of two byte strings,
	// and Offset is that of the first byte in which they differ. They are nil where
	// the values are others.
	GotBytes, WantBytes []byte
	Offset              int
}

func (d *Difference) Error() string { return d.Path + ": " + d.Message() }

// Message is the error without the path.
func (d *Difference) Message() string {
	switch {
	case d.Problem != "":
		return d.Problem
	case d.WantBytes != nil:
		return fmt.Sprintf("got %s; want %s; they differ from byte %d on", d.Got, d.Want, d.Offset)
	}
	return fmt.Sprintf("got %s; want %s", d.Got, d.Want)
}

func problem(path, format string, args ...any) *Difference {
	return &Difference{Path: path, Problem: fmt.Sprintf(format, args...)}
}

// difference is that of two values. One that is nil is not there.
func difference(path string, got, want any) *Difference {
	d := &Difference{Path: path, Got: show(got), Want: show(want)}
	g, gotText := got.(string)
	w, wantText := want.(string)
	if gotText && wantText {
		d.GotBytes, d.WantBytes = []byte(g), []byte(w)
	} else if g, ok := got.([]byte); ok {
		if w, ok := want.([]byte); ok {
			d.GotBytes, d.WantBytes = g, w
		}
	}
	for d.Offset < min(len(d.GotBytes), len(d.WantBytes)) && d.GotBytes[d.Offset] == d.WantBytes[d.Offset] {
		d.Offset++
	}
	return d
}

// Check runs one vector. The function takes the encoding of a request, and
// returns that of a response. The error says where the first difference is, and
// quotes both values: it wraps a [*Difference], or what the function returned.
func (v Vector) Check(call func(request []byte) ([]byte, error)) error {
	return v.check(func(path string, _ int, request json.RawMessage) (any, error) {
		encoded, err := Encode(request)
		if err != nil {
			return nil, fmt.Errorf("the request: %w", err)
		}
		data, err := call(encoded)
		if err != nil {
			return nil, fmt.Errorf("the call failed: %w", err)
		}
		response, err := decode(data)
		if err != nil {
			return nil, problem(path, "the response cannot be read: %v", err)
		}
		return response, nil
	})
}

// CheckJSON is Check for requests and responses in the JSON form of the vectors.
// Step is the step's number in a flow, and 0 for a call.
func (v Vector) CheckJSON(call func(step int, request json.RawMessage) (json.RawMessage, error)) error {
	return v.check(func(path string, step int, request json.RawMessage) (any, error) {
		data, err := call(step, request)
		if err != nil {
			return nil, fmt.Errorf("the call failed: %w", err)
		}
		response, err := parse(data)
		if err != nil {
			return nil, problem(path, "the response cannot be read: %v", err)
		}
		return response, nil
	})
}

// exchanger makes one call. The path is for its errors.
type exchanger func(path string, step int, request json.RawMessage) (any, error)

func (v Vector) check(exchange exchanger) error {
	check := checkCall
	if len(v.Steps) > 0 {
		check = checkFlow
	}
	if err := check(v, exchange); err != nil {
		return fmt.Errorf("%s: %w", v.ID, err)
	}
	return nil
}

func checkCall(v Vector, exchange exchanger) error {
	got, err := respond(exchange, "response", 0, v.Method, v.Params)
	if err != nil {
		return err
	}
	want, err := expected("ok", v.OK, v.Error)
	if err != nil {
		return err
	}
	// The credentials say what is wrong with them.
	if ok, _ := got["ok"].(map[string]any); ok != nil {
		if problem, _ := ok["problem"].(map[string]any); problem != nil {
			if err := forgetMessage("ok.problem", problem); err != nil {
				return err
			}
		}
	}
	return compareOutcome("", got, want)
}

// flowParams are those of flow.step and file.step. A state is sent as hexadecimal, whatever is
// in it.
type flowParams struct {
	Event json.RawMessage `json:"event"`
	State *hexadecimal    `json:"state,omitempty"`
}

type hexadecimal struct {
	Hex string `json:"hex"`
}

func checkFlow(v Vector, exchange exchanger) error {
	// kept is what the next step is sent: again returns no state, and that before it stays
	// good.
	var kept []byte
	for i, s := range v.Steps {
		path := fmt.Sprintf("steps[%d]", i)
		params := flowParams{Event: s.Event}
		if len(kept) > 0 {
			params.State = &hexadecimal{hex.EncodeToString(kept)}
		}
		got, err := respond(exchange, path, i, cmp.Or(v.Method, "flow.step"), params)
		if err != nil {
			return err
		}
		want, err := expected("effect", s.Effect, s.Error)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		var state []byte
		if ok, isMap := got["ok"].(map[string]any); isMap {
			if state, err = takeState(path, ok); err != nil {
				return err
			}
			if err := forgetMessages(path, ok["effect"]); err != nil {
				return err
			}
			got = ok
		}
		if err := compareOutcome(path, got, want); err != nil {
			return err
		}
		if s.Effect == nil {
			continue // the state before is still good
		}
		again := isAgain(s.Event)
		if err := checkState(path, state, want["effect"], again); err != nil {
			return err
		}
		if !again {
			kept = state
		}
	}
	return nil
}

// takeState takes the state out of a result.
func takeState(path string, ok map[string]any) ([]byte, error) {
	value, present := ok["state"]
	delete(ok, "state")
	state, isBytes := value.([]byte)
	if present && (!isBytes || len(state) == 0) {
		return nil, problem(path+".state", "got %s; want a byte string that is not empty", show(value))
	}
	return state, nil
}

// isAgain reports whether an event asks for another assertion of a flow that has ended.
func isAgain(event json.RawMessage) bool {
	var e struct {
		Type string `json:"type"`
	}
	return json.Unmarshal(event, &e) == nil && e.Type == "again"
}

// checkState holds a flow to having a state until it is done, and then where it has
// ended with an assertion, and can make others. With those there is none.
func checkState(path string, state []byte, effect any, again bool) error {
	e, _ := effect.(map[string]any)
	authorization, _ := e["authorization"].(map[string]any)
	asserts := authorization["mode"] == "agent-assertion" || authorization["mode"] == "dual-header"
	if goesOn := e["type"] != "done" || asserts && !again; goesOn != (state != nil) {
		if goesOn {
			return problem(path+".state", "got nothing; want a state after the effect %v", e["type"])
		}
		return problem(path+".state", "got %s; want nothing after the effect done, without an assertion or after the event again", show(state))
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
		return nil, fmt.Errorf("the vector's %s: %w", name, err)
	}
	return map[string]any{name: v}, nil
}

// compareOutcome compares two maps with one member each. Where one is an error and
// the other is not, it quotes both.
func compareOutcome(path string, got, want map[string]any) error {
	for name := range want {
		if _, ok := got[name]; !ok {
			return difference(cmp.Or(path, "response"), got, want)
		}
	}
	if d := compare(path, got, want); d != nil {
		return d
	}
	return nil
}

// respond makes one call, and returns the response without its error's message.
func respond(exchange exchanger, path string, step int, method string, params any) (map[string]any, error) {
	request, err := json.Marshal(struct {
		Method string `json:"method"`
		Params any    `json:"params"`
	}{method, params})
	if err != nil {
		return nil, fmt.Errorf("%s: the request: %w", path, err)
	}
	value, err := exchange(path, step, request)
	if d := (*Difference)(nil); errors.As(err, &d) {
		return nil, d
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	response, _ := value.(map[string]any)
	_, hasOK := response["ok"]
	e, hasError := response["error"].(map[string]any)
	if len(response) != 1 || hasOK == hasError {
		return nil, problem(path, "neither {ok} nor {error}, but %s", show(value))
	}
	if hasError {
		return response, forgetMessage(strings.TrimPrefix(path+".error", "response."), e)
	}
	return response, nil
}

// messagesIn is where an effect can have an error.
var messagesIn = [][]string{
	{"authorization", "cause"},
	{"authorization", "notice"},
	{"result", "error"},
	{"result", "credentials", "problem"},
}

// forgetMessages takes the messages out of the errors in an effect.
func forgetMessages(path string, effect any) error {
	for _, names := range messagesIn {
		e, _ := effect.(map[string]any)
		for _, name := range names {
			e, _ = e[name].(map[string]any)
		}
		if e == nil {
			continue
		}
		if err := forgetMessage(path+".effect."+strings.Join(names, "."), e); err != nil {
			return err
		}
	}
	return nil
}

func forgetMessage(path string, e map[string]any) error {
	if message, _ := e["message"].(string); strings.TrimSpace(message) == "" {
		return problem(path, "there is no message for people")
	}
	delete(e, "message")
	return nil
}

// compare returns the first difference, in the order of the members' names, or
// nil.
func compare(path string, got, want any) *Difference {
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			break
		}
		names := maps.Clone(want)
		maps.Copy(names, got)
		for _, name := range slices.Sorted(maps.Keys(names)) {
			// What is not there is nil, which no value is.
			if d := compare(join(path, name), got[name], want[name]); d != nil {
				return d
			}
		}
		return nil
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			break
		}
		for i := range want {
			if d := compare(fmt.Sprintf("%s[%d]", path, i), got[i], want[i]); d != nil {
				return d
			}
		}
		return nil
	}
	if reflect.DeepEqual(got, want) {
		return nil
	}
	return difference(path, got, want)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// show writes a value for a person.
func show(v any) string {
	if v == nil {
		return "nothing"
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(toJSON(v)); err != nil {
		return fmt.Sprintf("a %T", v)
	}
	const limit = 600
	s := strings.TrimRight(b.String(), "\n")
	if len(s) > limit {
		return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(s[:limit], ""), len(s))
	}
	return s
}
