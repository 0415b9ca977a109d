package host

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// maxRefusal is how much of a refusal's body is looked at, in bytes.
const maxRefusal = 64 << 10

// ReadRefusal returns what a backend's answer says that is not what was asked for: what
// to do about it can be asked with errors.Is, of core.ErrAgentRevoked, core.ErrTaskExpired
// and core.ErrTemporary. Of nil it returns nil.
//
// Up to 64 KiB of the body are read, and no more than up to the end of a JSON value: it
// does not wait for the end of a body that streams. Who reads the body finds there all
// that was read. What of it stands in the refusal is cleared of the secrets, of what the
// response's Request is authorized with, and of what looks like a secret.
func ReadRefusal(response *http.Response, secrets ...string) *core.Refusal {
	if response == nil {
		return nil
	}
	return readRefusal(response, time.Now(), secrets)
}

func readRefusal(response *http.Response, now time.Time, secrets []string) *core.Refusal {
	if r := response.Request; r != nil {
		for _, name := range []string{"Authorization", "X-OpenAI-Agent-Assertion"} {
			if value := r.Header.Get(name); value != "" {
				secrets = append(secrets[:len(secrets):len(secrets)], value)
			}
		}
	}
	return core.NewRefusal(core.Answer{
		Status: response.StatusCode, Header: response.Header, Body: peek(response), Now: now.Unix(),
	}, secrets...)
}

// peek returns the beginning of a response's body, and puts it back.
func peek(response *http.Response) []byte {
	if response.Body == nil {
		return nil
	}
	beginning := &recording{from: response.Body}
	var value json.RawMessage
	// What is no JSON is looked at as far as that had to be read to find out.
	_ = json.NewDecoder(io.LimitReader(beginning, maxRefusal)).Decode(&value)
	rest := io.Reader(response.Body)
	if beginning.err != nil {
		rest = errorReader{beginning.err}
	}
	read := beginning.read.Bytes()
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(read), rest), response.Body}
	return read
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

// refusalOf returns what the answer to a request of a flow's says, if it is not what was
// asked for.
func refusalOf(e wire.Effect, answer wire.Event, now time.Time, secrets ...string) *core.Refusal {
	if answer.Type != wire.EventResponse || 200 <= answer.Status && answer.Status < 300 {
		return nil
	}
	header := make(http.Header)
	for _, h := range answer.Headers {
		header.Add(h.Name, h.Value)
	}
	for _, h := range e.Headers {
		if name := strings.ToLower(h.Name); strings.HasSuffix(name, "authorization") || strings.HasSuffix(name, "assertion") {
			secrets = append(secrets, h.Value)
		}
	}
	r := core.NewRefusal(core.Answer{Status: int(answer.Status), Header: header, Body: answer.Body, Now: now.Unix()}, secrets...)
	path, _, _ := strings.Cut(e.URL, "?")
	switch {
	case e.Method == http.MethodGet && strings.HasSuffix(path, "/wham/accounts/check"):
	case e.Method == http.MethodGet:
		r.Step = wire.StepBiscuit
	case strings.HasSuffix(path, "/task/register"):
		r.Step = wire.StepTask
	default:
		r.Step = wire.StepIdentity
	}
	return r
}

// answered is a refusal as the cause of an error that says already what was being done.
type answered struct{ refusal *core.Refusal }

func (a answered) Error() string {
	answer := *a.refusal
	answer.Step = ""
	return answer.Error()
}

func (a answered) Unwrap() error { return a.refusal }

// isPassing reports whether a request that failed can succeed another time.
func isPassing(failed wire.Event) bool {
	return failed.Failure == wire.FailureTimeout || failed.Failure == wire.FailureConnect
}

// passing is an error of a request that can succeed another time: a time-out, or a
// connection that failed.
type passing struct{ err error }

func (p passing) Error() string { return p.err.Error() }

func (p passing) Unwrap() error { return p.err }

func (passing) Is(target error) bool { return target == core.ErrTemporary }
