package core

import (
	"strings"

	"github.com/agentassert/agentassert/core/wire"
)

// Answer is a backend's response, as far as functions of this package read it. An
// http.Header fits Header as it is. It is shown by its name only: it can have a biscuit
// or a task in it.
type Answer struct {
	// Status is the status code.
	Status int
	// Header has the header fields, by their names in whatever case.
	Header map[string][]string
	// Body is the body or its beginning. At most 64 KiB of it are looked at, so who
	// reads it needs to read no more.
	Body []byte
	// Now is when the answer came, in Unix seconds. A Retry-After that is a date needs
	// it.
	Now int64
}

// header returns the first value of a header field, or nothing. Where the field is
// there under several spellings, that of the smallest name counts: the same each time.
func (a Answer) header(name string) string {
	found := ""
	for field, values := range a.Header {
		if strings.EqualFold(field, name) && len(values) > 0 && (found == "" || field < found) {
			found = field
		}
	}
	if found == "" {
		return ""
	}
	return a.Header[found][0]
}

// retryAfter is how many seconds the backend asks to be left alone.
func (a Answer) retryAfter() int64 {
	return parseRetryAfter([]wire.Header{{Name: retryAfterHeader, Value: a.header(retryAfterHeader)}}, a.Now)
}
