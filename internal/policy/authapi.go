package policy

import (
	"github.com/agentassert/agentassert/core/wire"
)

// authAPI is the profile auth-api. The access token authorizes the registration of
// an identity, and a task's is authorized by what is signed.
type authAPI struct{}

const headerFedRAMP = "x-openai-fedramp"

func (authAPI) checkRequest(f *Flow, e wire.Effect, base string, headers map[string]string) error {
	if err := checkResponseHeaders(e); err != nil {
		return err
	}
	switch {
	case isTaskURL(base, e.URL):
		return f.checkPost(e, headers)
	case e.URL != base+identityPath || f.call.Credentials.Kind != wire.CredentialsChatGPT:
		return violation("a request to a URL", "that is none of a registration's")
	}
	if err := f.checkIdentity(e); err != nil {
		return err
	}
	if !f.call.Credentials.FedRAMP {
		return f.checkPost(e, headers, headerAuthorization)
	}
	if headers[headerFedRAMP] != "true" {
		return violation("a registration", "that is not marked as FedRAMP's")
	}
	return f.checkPost(e, headers, headerAuthorization, headerFedRAMP)
}

func (authAPI) answered(wire.Effect, wire.Event) {}

func (authAPI) waits() bool { return true }

func (authAPI) checkSlot(_ *Flow, e wire.Effect) error { return checkSlots(e, identitySlots) }

func (authAPI) checkAssertion(_ *Flow, a wire.Authorization, _ []byte, now int64) error {
	return checkTaskAssertion(a, now)
}

func (authAPI) checkCall(f *Flow, headers map[string]string, names []string) error {
	return f.checkHeaders(headers, names...)
}
