package core

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/agentassert/agentassert/core/wire"
)

// maxRetryAfter is the longest pause that a backend can ask for, in seconds.
const maxRetryAfter int64 = 86400

// jitterSize is how many bytes of entropy a pause takes.
const jitterSize = 4

// backoff remembers failed registrations of one account. It is stored, so that
// a program that starts again does not start over. The record holds every
// account's, by its id or what the profile makes of that:
//
//	{"acct-1":{"failures":2,"retry_at":"2026-11-24T15:18:08Z","code":"http_status"}}
type backoff struct {
	failures int64
	retryAt  int64
	code     string
	// final says that the failure was not one that passes, in a profile where
	// conversations go by that.
	final bool
}

// readBackoff reads an account's part of a stored record. One that is damaged
// counts as none, and more failures than 31 bits hold as the most that they do.
func readBackoff(record []byte, account string) backoff {
	root, err := parseJSON(record, maxNetworkJSON)
	if err != nil {
		return backoff{}
	}
	entry := root.member(account)
	if entry == nil || entry.kind != jsonObject {
		return backoff{}
	}
	var b backoff
	if n := entry.member("failures"); n != nil && n.kind == jsonNumber {
		b.failures, _ = strconv.ParseInt(string(record[n.start:n.end]), 10, 32)
	}
	retryAt, _ := entry.stringMember("retry_at")
	if b.retryAt, err = parseTimestamp(retryAt); err != nil || b.failures < 1 {
		return backoff{}
	}
	b.code, _ = entry.stringMember("code")
	b.final = entry.isTrue("final")
	return b
}

// active reports whether the backend is still to be left alone, which without a
// failure it is not, whatever the clock says. A time further off than the longest
// pause was written by a clock that has since been set back, and does not count.
func (b backoff) active(now int64) bool {
	return b.failures > 0 && now < b.retryAt && b.retryAt <= now+maxRetryAfter
}

// checkPauses refuses pauses that could not be kept.
func checkPauses(p *wire.Pauses) error {
	if p == nil || *p == (wire.Pauses{}) || 1 <= p.First && p.First <= p.Most && p.Most <= maxRetryAfter {
		return nil
	}
	return fail(CodeInvalidConfig, "the first pause is not from 1 to the longest, or that is not at most 86400 seconds; both are 0 where there are to be none")
}

// pauses are how long the backend is left alone after a registration has failed.
func (f *flow) pauses() wire.Pauses {
	if p := f.Config.Pauses; p != nil {
		return *p
	}
	return f.profile.pauses()
}

// pause is how long, in seconds, after so many failures before the last one.
func pause(p wire.Pauses, failures int64) int64 {
	pause := p.First
	for ; failures > 0 && pause < p.Most; failures-- {
		pause *= 2
	}
	return min(pause, p.Most)
}

// next is the pause after one more failure. With jitter, jitterSize random
// bytes, it is between half of the pause and all of it, so that clients that
// failed together do not come back together.
func (b backoff) next(p wire.Pauses, now, retryAfter int64, jitter []byte, code string) backoff {
	pause := pause(p, b.failures)
	if len(jitter) == jitterSize {
		half := pause / 2
		pause = pause - half + int64(uint64(half)*uint64(binary.BigEndian.Uint32(jitter))>>32)
	}
	pause = max(pause, retryAfter)
	return backoff{failures: b.failures + 1, retryAt: min(now+pause, maxTime), code: code}
}

// store returns the record with the account's part set to b.
func (b backoff) store(record []byte, account string) ([]byte, error) {
	retryAt, err := formatTimestamp(b.retryAt)
	if err != nil {
		return nil, err
	}
	members := []any{
		"failures", jsonText(strconv.FormatInt(b.failures, 10)),
		"retry_at", retryAt,
		"code", b.code,
	}
	if b.final {
		members = append(members, "final", jsonText("true"))
	}
	return setBackoff(record, account, appendJSONObject(nil, members...)), nil
}

// hasBackoff reports whether there is something to clear: the account's part, or
// a record that is damaged.
func hasBackoff(record []byte, account string) bool {
	if len(record) == 0 {
		return false
	}
	root, err := parseJSON(record, maxNetworkJSON)
	return err != nil || root.kind != jsonObject || root.member(account) != nil
}

// clearBackoff returns the record without the account's part, or nothing where
// that was all.
func clearBackoff(record []byte, account string) []byte {
	record = setBackoff(record, account, nil)
	if root, err := parseJSON(record, maxNetworkJSON); err != nil || len(root.members) == 0 {
		return nil
	}
	return record
}

// setBackoff starts anew where the record is damaged or would grow too large to be
// read.
func setBackoff(record []byte, account string, entry []byte) []byte {
	if root, err := parseJSON(record, maxNetworkJSON); err == nil && root.kind == jsonObject {
		if record = setJSONMember(record, root, account, entry); len(record) <= maxNetworkJSON {
			return record
		}
	}
	record = []byte("{}")
	root, _ := parseJSON(record, len(record))
	return setJSONMember(record, root, account, entry)
}

// parseRetryAfter returns how many seconds the backend asks to be left alone, up to
// maxRetryAfter: a number of seconds, or the date until which (RFC 9110, section
// 10.2.3). Anything else counts as nothing.
func parseRetryAfter(headers []wire.Header, now int64) int64 {
	value := header(headers, retryAfterHeader)
	if value != "" && strings.Trim(value, "0123456789") == "" {
		if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
			return min(seconds, maxRetryAfter)
		}
		return maxRetryAfter // more than 64 bits of seconds
	}
	if until, ok := parseHTTPDate(value); ok && until > now {
		return min(until-now, maxRetryAfter)
	}
	return 0
}

// parseHTTPDate reads an IMF-fixdate (RFC 9110, section 5.6.7), such as "Sun, 06
// Nov 1994 08:49:37 GMT". The name of the day is not compared.
func parseHTTPDate(s string) (unix int64, ok bool) {
	const months = "JanFebMarAprMayJunJulAugSepOctNovDec"
	if len(s) != 29 || s[3:5] != ", " || s[7] != ' ' || s[11] != ' ' || s[16] != ' ' || s[25:] != " GMT" {
		return 0, false
	}
	month := strings.Index(months, s[8:11])
	if month < 0 || month%3 != 0 {
		return 0, false
	}
	number := strconv.Itoa(101 + month/3)[1:]
	unix, err := parseTimestamp(s[12:16] + "-" + number + "-" + s[5:7] + "T" + s[17:25] + "Z")
	return unix, err == nil
}
