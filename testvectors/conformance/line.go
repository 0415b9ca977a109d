package conformance

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/agentassert/agentassert/testvectors"
)

// line is what a runner reads.
type line struct {
	ID   string `json:"id"`
	Area string `json:"area"`
	// Step is the number of a flow's step; a call has none.
	Step    *int            `json:"step,omitempty"`
	Request json.RawMessage `json:"request"`
}

// newLine writes a line, with the line feed.
func newLine(r *result, step int, request json.RawMessage) ([]byte, error) {
	l := line{ID: r.vector.ID, Area: r.area, Request: request}
	if len(r.vector.Steps) > 0 {
		l.Step = &step
	}
	return encodeLine(l)
}

func encodeLine(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(text) > MaxLine {
		return nil, errTooLong
	}
	return append(text, '\n'), nil
}

// reply is what a runner writes.
type reply struct {
	ID          string          `json:"id"`
	Response    json.RawMessage `json:"response,omitempty"`
	Unsupported bool            `json:"unsupported,omitempty"`
}

// answer is a reply that has been read.
type answer struct {
	id          string
	response    json.RawMessage
	unsupported bool
}

// parseAnswer reads a runner's line. What is in the response is not looked at.
func parseAnswer(text []byte) (answer, error) {
	members, err := parseObject(text)
	if err != nil {
		return answer{}, err
	}
	a := answer{response: members["response"]}
	if a.id, err = parseID(members); err != nil {
		return answer{}, err
	}
	unsupported, ok := members["unsupported"]
	if a.unsupported = ok && string(unsupported) == "true"; a.unsupported == (a.response != nil) || len(members) != 2 {
		return answer{}, errors.New(`its members are not "id" and either "response" or "unsupported": true`)
	}
	return a, nil
}

// parseLine reads a line for a runner: its id, and the request in it.
func parseLine(text []byte) (id string, request json.RawMessage, err error) {
	members, err := parseObject(text)
	if err != nil {
		return "", nil, err
	}
	if members["request"] == nil {
		return "", nil, errors.New(`it has no member "request"`)
	}
	id, err = parseID(members)
	return id, members["request"], err
}

// parseObject returns the members of an object. Unlike package json's, their
// names have one case.
func parseObject(text []byte) (members map[string]json.RawMessage, err error) {
	if err := testvectors.Valid(text); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, errors.New("it is not an object")
	}
	return members, nil
}

func parseID(members map[string]json.RawMessage) (id string, err error) {
	if err := json.Unmarshal(members["id"], &id); err != nil {
		return "", errors.New(`it has no string "id"`)
	}
	return id, nil
}

// quote is for text that may be anything.
func quote(text []byte) string {
	const limit = 200
	if len(text) > limit {
		return fmt.Sprintf("%q… (%d bytes)", text[:limit], len(text))
	}
	return fmt.Sprintf("%q", text)
}

var (
	errTooLong    = fmt.Errorf("a line is longer than %d bytes", MaxLine)
	errUnfinished = errors.New("the last line does not end with a line feed")
)

// readLines hands each line that is not blank to f, which must not keep it, until
// f returns false.
func readLines(in io.Reader, f func(text []byte) bool) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 64<<10), MaxLine+1)
	lines.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		if end := bytes.IndexByte(data, '\n'); end >= 0 {
			return end + 1, data[:end], nil
		}
		if atEOF && len(data) > 0 {
			return 0, nil, errUnfinished
		}
		return 0, nil, nil
	})
	for lines.Scan() {
		if text := lines.Bytes(); strings.TrimSpace(string(text)) != "" && !f(text) {
			return nil
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return errTooLong
	}
	return lines.Err()
}
