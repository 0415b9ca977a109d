package authority

import "net/http"

// The fields that each request is looked at for, as http.Header spells them: other
// spellings it makes anew into these for each look.
const (
	authorizationHeader = "Authorization"
	// accountHeader names the account that a call is made for.
	accountHeader = "Chatgpt-Account-Id"
	// assertionHeader carries the assertion of a runtime agent instance beside a bearer
	// token.
	assertionHeader = "X-Openai-Agent-Assertion"
	// fedRAMPHeader says that a request is for a FedRAMP account.
	fedRAMPHeader = "X-Openai-Fedramp"
)

// singleHeader returns the value of a header field, or nothing. Where a field
// stands twice, two readers could take two different values, so it is refused.
func singleHeader(r *http.Request, name string) (string, error) {
	switch values := r.Header.Values(name); len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	}
	return "", fail(http.StatusBadRequest, CodeInvalidRequest, "the header "+name+" stands more than once")
}
