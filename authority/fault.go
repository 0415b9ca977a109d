package authority

import (
	"maps"
	"net/http"
)

// RefuseRegistration makes the biscuit and registration endpoints of both
// profiles answer every request with the given status, a redirect or an error
// (300 to 599), so that a client can be seen falling back. With 0 they serve
// again. It panics on other statuses. [Options.Intercept] decides for each
// request.
func (a *Authority) RefuseRegistration(status int) {
	checkRefusal(status)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refusal = status
}

func checkRefusal(status int) {
	if status != 0 && (status < 300 || status > 599) {
		panic("authority: a refusal is 0 or a status from 300 to 599")
	}
}

// intercept returns the refusal that was asked for, if any, and sets the headers
// that go with it.
func (a *Authority) intercept(w http.ResponseWriter, r *http.Request) error {
	a.mu.Lock()
	status := a.refusal
	a.mu.Unlock()
	if status == 0 && a.options.Intercept != nil {
		var header http.Header
		status, header = a.options.Intercept(r)
		checkRefusal(status)
		if status != 0 {
			maps.Copy(w.Header(), header)
		}
	}
	if status == 0 {
		return nil
	}
	return fail(status, CodeRegistrationRefused, "registration is refused for now")
}
