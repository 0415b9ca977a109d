package policy

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// What the profiles have in common whose agents assert tasks.

const (
	identityPath           = "/v1/agent/register"
	taskPrefix, taskSuffix = "/v1/agent/", "/task/register"
)

// isTaskURL reports whether a URL is that of a task's registration, for an agent of
// whatever id: one segment, of which no server can make several.
func isTaskURL(base, url string) bool {
	id, ok := strings.CutPrefix(url, base+taskPrefix)
	id, isTask := strings.CutSuffix(id, taskSuffix)
	if !ok || !isTask || id == "" || len(id) > maxSegment || id == "." || id == ".." {
		return false
	}
	for i := 0; i < len(id); i++ {
		switch c := id[i]; {
		case c == '%':
			if i+2 >= len(id) || !isHex(id[i+1]) || !isHex(id[i+2]) {
				return false
			}
			i += 2
		case !isBase64URL(id[i:i+1]) && c != '.' && c != '~':
			return false
		}
	}
	return true
}

// isHex reports whether c is a hexadecimal digit, as escapes are written.
func isHex(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' }

func isBase64URL(s string) bool {
	return strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// checkPost is for a registration, authorized by what is among the header fields.
func (f *Flow) checkPost(e wire.Effect, headers map[string]string, names ...string) error {
	switch {
	case e.Method != "POST":
		return violation("a registration", "that is none")
	case headers[headerContentType] != "application/json":
		return violation("a registration", "of another content type")
	}
	return f.checkHeaders(headers, append(names, headerContentType)...)
}

// checkIdentity wants the registration of an identity to say what the configuration has
// it say, to the byte, with some key that the module has made.
func (f *Flow) checkIdentity(e wire.Effect) error {
	return checkBody(e, "agent_public_key", func(key *core.PublicKey) []byte {
		return core.IdentityRegistrationBody(f.call.Config, key)
	})
}

// checkBody wants a registration whose body is the one for the key that it has under that
// name.
func checkBody(e wire.Effect, name string, body func(*core.PublicKey) []byte) error {
	var members map[string]json.RawMessage
	var encoded string
	if json.Unmarshal(e.Body, &members) != nil || json.Unmarshal(members[name], &encoded) != nil {
		return violation("a registration", "that is not JSON, or without a key")
	}
	key, err := core.ParsePublicKey(encoded)
	if err != nil || !bytes.Equal(e.Body, body(key)) {
		return violation("a registration", "that is not this call's")
	}
	return nil
}

// checkTaskAssertion wants a header that says what the answer does, in its canonical
// form, and nothing else.
func checkTaskAssertion(a wire.Authorization, now int64) error {
	if a.RuntimeAgentInstance != "" || a.AgentAssertion != "" || !core.IsAssertion(a.Header, a.AgentRuntimeID, a.TaskID, now) {
		return violation("an assertion", "that does not say what the answer does")
	}
	return nil
}
