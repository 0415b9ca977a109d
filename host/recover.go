package host

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/agentassert/agentassert/core/wire"
)

// Recover returns what a call carries in place of an assertion that the backend
// has answered with 401. It drops that assertion's task, if it is still the
// stored one, and registers another; of any number of calls that were rejected
// with one task, in any number of processes, one registers. It is the same with a
// runtime agent instance, in this manager. For any other
// authorization, and for another manager's, it returns the same again: a rejected
// bearer token says nothing about a task.
//
// The response, where there is one, says more: that the backend does not know the
// agent, whose identity is then replaced, or that a clock is wrong, which costs no
// task. Up to 64 KiB of its body are read for that, up to the end of a JSON object;
// who reads the body finds them there all the same.
//
// Its errors, and what a failed registration leads to, are those of the method
// that the authorization came from.
func (m *Manager) Recover(ctx context.Context, rejected Authorization, response *http.Response) (Authorization, error) {
	if !rejected.asserts() || rejected.call.manager != m.id {
		return rejected, nil
	}
	c := rejected.call
	c.rejected = &wire.Rejection{
		AgentRuntimeID: rejected.AgentRuntimeID, TaskID: rejected.TaskID, RuntimeAgentInstance: rejected.RuntimeAgentInstance,
	}
	if response != nil {
		c.rejected.Date = response.Header.Get("Date")
		c.rejected.Code = refusalCode(response)
	}
	c.key = strings.Join([]string{"recover", c.key, rejected.AgentRuntimeID, rejected.TaskID, rejected.RuntimeAgentInstance, c.rejected.Code}, "\x00")
	a, err := m.ask(ctx, c)
	if err != nil || c.thread == "" {
		return a, err
	}
	return turn(a)
}

// maxRefusal is how much of a refusal's body is looked at, and maxCode the longest
// code of an error that means something here, in bytes.
const (
	maxRefusal = 64 << 10
	maxCode    = 256
)

// refusalCode returns the code in the body of a refusal, {"error":{"code":…}}, or
// nothing. It reads no further than that object's end, so that it does not wait for
// the end of a body that streams, and puts back what it has read.
func refusalCode(response *http.Response) string {
	if response.Body == nil {
		return ""
	}
	beginning := &recording{from: response.Body}
	var refusal struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	err := json.NewDecoder(io.LimitReader(beginning, maxRefusal)).Decode(&refusal)
	rest := io.Reader(response.Body)
	if beginning.err != nil {
		rest = errorReader{beginning.err}
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(&beginning.read, rest), response.Body}
	if err != nil || len(refusal.Error.Code) > maxCode {
		return ""
	}
	return refusal.Error.Code
}

// recording remembers what is read through it, and the error that ended it.
type recording struct {
	from io.Reader
	read bytes.Buffer
	err  error
}

func (r *recording) Read(p []byte) (n int, err error) {
	n, r.err = r.from.Read(p)
	r.read.Write(p[:n])
	return n, r.err
}

// errorReader fails as what it stands for has.
type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }
