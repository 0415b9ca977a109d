package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/agentassert/agentassert/core"
)

// streaming returns a body that has something to say, and then does not end until it
// is closed.
func streaming(text string) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		// It fails where nobody reads any more.
		_, _ = io.WriteString(w, text)
	}()
	return r
}

// What is looked at of a refusal is there for whoever reads it, and so is the error
// that ends it.
func TestRecoverLeavesTheBody(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	long, err := json.Marshal(map[string]any{"text": big, "error": map[string]string{"code": core.CodeUnknownAgent}})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		body  io.Reader
		want  string
		err   error
		heals bool
	}{
		"a code":                    {strings.NewReader(bodyOf(core.CodeUnknownAgent)), bodyOf(core.CodeUnknownAgent), nil, true},
		"a code, byte by byte":      {iotest.OneByteReader(strings.NewReader(bodyOf(core.CodeUnknownAgent))), bodyOf(core.CodeUnknownAgent), nil, true},
		"a code, and more":          {strings.NewReader(bodyOf(core.CodeUnknownAgent) + "\n" + big), bodyOf(core.CodeUnknownAgent) + "\n" + big, nil, true},
		"a code, and then an error": {io.MultiReader(strings.NewReader(bodyOf(core.CodeUnknownAgent)), iotest.ErrReader(errDisk)), bodyOf(core.CodeUnknownAgent), errDisk, true},
		"a code too far behind":     {bytes.NewReader(long), string(long), nil, false},
		"a code that is too long":   {strings.NewReader(bodyOf(big[:1000])), bodyOf(big[:1000]), nil, false},
		"a code of another type":    {strings.NewReader(`{"error":{"code":["unknown_agent"]}}`), `{"error":{"code":["unknown_agent"]}}`, nil, false},
		"a code, without an object": {strings.NewReader(`{"error":"unknown_agent"}`), `{"error":"unknown_agent"}`, nil, true},
		"big":                       {strings.NewReader(big), big, nil, false},
		"big JSON":                  {strings.NewReader(`"` + big), `"` + big, nil, false},
		"empty":                     {strings.NewReader(""), "", nil, false},
		"cut off":                   {iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(`{"error"`))), "{", iotest.ErrTimeout, false},
		"an error before all":       {iotest.ErrReader(errDisk), "", errDisk, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			m := manager(t, w.config())
			rejected := ask(t, m)
			w.authority.ExpireTask(rejected.TaskID)
			body := &countedBody{Reader: tt.body}
			response := &http.Response{StatusCode: http.StatusUnauthorized, Header: http.Header{}, Body: body}
			a, err := m.Recover(context.Background(), rejected, response)
			checkCode(t, err, "")
			w.checkVerified(t, a)
			if healed := a.AgentRuntimeID != rejected.AgentRuntimeID; healed != tt.heals {
				t.Errorf("another identity: %t, want %t", healed, tt.heals)
			}
			got, err := io.ReadAll(response.Body)
			if string(got) != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("read %d bytes, %.100q, %v; want %d, %v", len(got), got, err, len(tt.want), tt.err)
			}
			if body.isClosed() {
				t.Error("the body was closed by another than its reader")
			}
			if err := response.Body.Close(); err != nil || !body.isClosed() {
				t.Errorf("closing the body: %v, closed %t", err, body.isClosed())
			}
		})
	}
}

// A transport does not wait for the end of a refusal, and hands on what it does not
// replace.
func TestTransportAndTheBodyOfA401(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	for name, tt := range map[string]struct {
		body func() io.ReadCloser
		want string // what the caller reads where there is no second try
	}{
		"big":                {func() io.ReadCloser { return io.NopCloser(strings.NewReader(big)) }, big},
		"endless":            {func() io.ReadCloser { return &endless{} }, strings.Repeat(" ", 200<<10)},
		"streaming events":   {func() io.ReadCloser { return streaming("data: refused\n\n") }, "data: refused\n\n"},
		"streaming an error": {func() io.ReadCloser { return streaming(bodyOf("task_expired")) }, bodyOf("task_expired")},
	} {
		for _, again := range []bool{true, false} {
			t.Run(name+map[bool]string{true: "/sent again", false: "/not sent again"}[again], func(t *testing.T) {
				w := newWorld()
				m := manager(t, w.config())
				client, b := transport(w, m)
				b.script = func(n int, _ *http.Request) (*http.Response, error) {
					if n > 0 {
						return nil, nil
					}
					return &http.Response{StatusCode: http.StatusUnauthorized, Header: http.Header{}, Body: tt.body(), ContentLength: -1}, nil
				}
				r := newRequest(t, context.Background(), http.MethodPost, baseURL+"/codex/analytics-events/events", strings.NewReader("{}"))
				if !again {
					r.GetBody = nil
				}
				response, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				if again {
					checkCount(t, "status", response.StatusCode, http.StatusOK)
					checkCount(t, "calls", len(b.seen), 2)
				} else {
					checkCount(t, "status", response.StatusCode, http.StatusUnauthorized)
					got := make([]byte, len(tt.want))
					if _, err := io.ReadFull(response.Body, got); err != nil || string(got) != tt.want {
						t.Errorf("read %.100q, %v; want %.100q", got, err, tt.want)
					}
				}
				if err := response.Body.Close(); err != nil {
					t.Error(err)
				}
				b.checkClosed(t)
				checkCounts(t, w.authority, 1, 2)
			})
		}
	}
}
