package doctor

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

const (
	checkNameClock = "clock"
	// maxSkew is how far the clock can be from another before assertions are not accepted.
	maxSkew = 5 * time.Minute
)

// checkClock compares the clock with times that others have left. With Send the backend's
// is asked as well.
func (e *examination) checkClock() {
	before := len(e.findings)
	compare := func(what string, at time.Time) {
		if ahead := at.Sub(e.Now()); !at.IsZero() && ahead > maxSkew {
			e.problem(checkNameClock, "set the clock, or have it set (NTP); --send compares it with the backend's", "by this machine's clock, %s is %s in the future: the clock is behind, or was ahead then", what, short(ahead))
		}
	}
	if e.info != nil {
		compare("the last write of auth.json", e.info.ModTime())
	}
	if e.isRead {
		var d document
		if json.Unmarshal(e.content, &d) == nil {
			compare("the last renewal of the tokens", parseTime(d.LastRefresh))
		}
	}
	if e.credentials != nil {
		compare("the issue of the access token", issued(e.credentials.AccessToken))
	}
	compare("the registration of the identity", e.identity.registered)
	if len(e.findings) == before {
		e.ok(checkNameClock, "it is %s, and nothing here is from a later time", e.Now().UTC().Format(time.RFC3339))
	}
}

// issued is when a JWT was made, by its claim, or zero. Whose it is does not matter here.
func issued(token string) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		IssuedAt float64 `json:"iat"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.IssuedAt <= 0 || claims.IssuedAt > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(claims.IssuedAt), 0)
}
