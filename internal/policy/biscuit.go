package policy

import (
	"strings"

	"github.com/agentassert/agentassert/core/wire"
)

// biscuit is the default profile. The one request that carries the access token is
// that for a biscuit, and each registration carries a biscuit that was minted for it.
type biscuit struct {
	// minted are the biscuits of this flow that are not used, by the URL that each is
	// for.
	minted map[string]string
}

const (
	headerBiscuit        = "x-openai-authorization"
	headerOriginalMethod = "x-original-method"
	headerOriginalURL    = "x-original-url"
	headerRequestID      = "x-request-id"
	requestIDPrefix      = "codex-agent-identity-"
	requestIDSize        = 22 // 16 bytes in base64url
	biscuitPath          = "/authenticate_app_v2"
)

func (p *biscuit) checkRequest(f *Flow, e wire.Effect, base string, headers map[string]string) error {
	isBiscuit := e.URL == base+biscuitPath
	others := []string{}
	if isBiscuit {
		others = append(others, headerBiscuit)
	}
	if err := checkResponseHeaders(e, others...); err != nil {
		return err
	}
	switch {
	case isBiscuit:
		return p.checkMint(f, e, base, headers)
	case e.URL != base+identityPath && !isTaskURL(base, e.URL):
		return violation("a request to a URL", "that is none of a registration's")
	}
	value := p.minted[e.URL]
	if value == "" || headers[headerBiscuit] != value {
		return violation("a biscuit", "that was not minted for this")
	}
	delete(p.minted, e.URL) // it is good for one request
	if e.URL == base+identityPath {
		if err := f.checkIdentity(e); err != nil {
			return err
		}
	}
	return f.checkPost(e, headers, headerBiscuit)
}

// checkMint is for the request that mints a biscuit.
func (p *biscuit) checkMint(f *Flow, e wire.Effect, base string, headers map[string]string) error {
	id, ok := strings.CutPrefix(headers[headerRequestID], requestIDPrefix)
	original := headers[headerOriginalURL]
	switch {
	case e.Method != "GET" || len(e.Body) > 0:
		return violation("a request for a biscuit", "that is more than that")
	case !ok || len(id) != requestIDSize || !isBase64URL(id):
		return violation("a request's id", "that is no such id")
	case headers[headerOriginalMethod] != "POST" || original != base+identityPath && !isTaskURL(base, original):
		return violation("a biscuit", "for something else than a registration")
	}
	return f.checkHeaders(headers, headerAuthorization, headerRequestID, headerOriginalMethod, headerOriginalURL)
}

// answered keeps a biscuit, which can be used once, for what it was minted for.
func (p *biscuit) answered(e wire.Effect, response wire.Event) {
	if !strings.HasSuffix(e.URL, biscuitPath) {
		return
	}
	headers, _ := headersOf(e.Headers)
	for _, h := range response.Headers {
		if strings.EqualFold(h.Name, headerBiscuit) && h.Value != "" {
			if p.minted == nil {
				p.minted = make(map[string]string)
			}
			p.minted[headers[headerOriginalURL]] = h.Value
			return
		}
	}
}

func (p *biscuit) waits() bool { return false }

// checkSlot lets pass the slot of the call's thread, too. Its task is replaced, and never
// removed.
func (p *biscuit) checkSlot(f *Flow, e wire.Effect) error {
	if f.call.ThreadID != "" && e.Slot == wire.SlotThread+f.call.ThreadID && e.Type != wire.EffectSwap && e.Type != wire.EffectDelete {
		return nil
	}
	return checkSlots(e, identitySlots)
}

func (p *biscuit) checkAssertion(_ *Flow, a wire.Authorization, _ []byte, now int64) error {
	return checkTaskAssertion(a, now)
}

func (*biscuit) checkCall(f *Flow, headers map[string]string, names []string) error {
	return f.checkHeaders(headers, names...)
}
