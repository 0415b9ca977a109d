package core

import (
	"strconv"

	"github.com/agentassert/agentassert/core/wire"
)

// clockSkew returns an error if the clock differs from the backend's, whose answer
// has the given Date header field, by so much that no assertion is accepted.
func (f *flow) clockSkew(date string) error {
	theirs, ok := parseHTTPDate(date)
	if !ok {
		return nil
	}
	behind, direction := theirs-f.now, "behind"
	if behind < 0 {
		behind, direction = -behind, "ahead of"
	}
	if behind <= maxClockSkew {
		return nil
	}
	return fail(CodeClockSkew, "this machine's clock is "+span(behind)+" "+direction+" the backend's; set it right")
}

// span is a number of seconds, for people, in its two largest units.
func span(seconds int64) string {
	units := []struct {
		name string
		size int64
	}{{"d", secondsPerDay}, {"h", 3600}, {"min", 60}, {"s", 1}}
	for i, u := range units {
		if seconds < u.size && u.size > 1 {
			continue
		}
		text := strconv.FormatInt(seconds/u.size, 10) + " " + u.name
		if i+1 < len(units) {
			if rest := seconds % u.size / units[i+1].size; rest > 0 {
				text += " " + strconv.FormatInt(rest, 10) + " " + units[i+1].name
			}
		}
		return text
	}
	return ""
}

// expiredToken returns a notice if the access token, which says when it expires, has.
func expiredToken(expires, now int64) *wire.Error {
	if now < expires {
		return nil
	}
	return &wire.Error{
		Code:    CodeAccessTokenExpired,
		Message: "the access token expired " + span(now-expires) + " ago; the program that signed the user in renews it when it is used, or sign in again",
	}
}
