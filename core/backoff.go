package core

import "strconv"

// The pauses after failed registrations, in seconds: each twice the one before,
// up to an hour, which is how long later versions of the reference client stay
// silent.
const (
	firstPause int64 = 60
	maxPause   int64 = 3600
)

// backoff remembers failed registrations of one account. It is stored, so that
// a program that starts again does not start over.
type backoff struct {
	account  string
	failures int64
	retryAt  int64
	code     string
}

// readBackoff reads a stored record. One that is damaged, or another account's,
// counts as none.
func readBackoff(record []byte, account string) backoff {
	root, err := parseJSON(record, maxNetworkJSON)
	if err != nil {
		return backoff{}
	}
	b := backoff{account: account}
	if stored, ok := root.stringMember("account_id"); !ok || stored != account {
		return backoff{}
	}
	if n := root.member("failures"); n != nil && n.kind == jsonNumber {
		b.failures, _ = strconv.ParseInt(string(record[n.start:n.end]), 10, 32)
	}
	retryAt, _ := root.stringMember("retry_at")
	if b.retryAt, err = parseTimestamp(retryAt); err != nil || b.failures < 1 {
		return backoff{}
	}
	b.code, _ = root.stringMember("code")
	return b
}

// active reports whether the backend is still to be left alone. A time further
// off than the longest pause was written by a clock that has since been set
// back, and does not count.
func (b backoff) active(now int64) bool {
	return now < b.retryAt && b.retryAt <= now+maxPause
}

// nextBackoff is the pause after one more failure.
func nextBackoff(account string, failures, now int64, cause error) backoff {
	pause := maxPause
	if failures < 6 {
		pause = min(firstPause<<failures, maxPause)
	}
	return backoff{account: account, failures: failures + 1, retryAt: min(now+pause, maxTime), code: Code(cause)}
}

func (b backoff) record() ([]byte, error) {
	retryAt, err := formatTimestamp(b.retryAt)
	if err != nil {
		return nil, err
	}
	return appendJSONObject(nil,
		"account_id", b.account,
		"failures", jsonText(strconv.FormatInt(b.failures, 10)),
		"retry_at", retryAt,
		"code", b.code), nil
}
