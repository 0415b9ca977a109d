package authority

import "net/http"

// checkFedRAMP refuses a request for a FedRAMP account that does not say so. One
// that says so for another account is let pass.
func checkFedRAMP(r *http.Request, fedRAMP bool) error {
	if !fedRAMP {
		return nil
	}
	value, err := singleHeader(r, fedRAMPHeader)
	if err != nil {
		return err
	}
	if value != "true" {
		return fail(http.StatusForbidden, CodeFedRAMPRequired, "a request for a FedRAMP account carries the header X-OpenAI-Fedramp: true")
	}
	return nil
}
