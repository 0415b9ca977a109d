package core

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// hiddenSecret takes the place of a secret.
const hiddenSecret = "[hidden]"

// maxCleared is how much of a text is looked at, in bytes.
const maxCleared = 16 << 10

// clearSecrets returns the beginning of a text that a backend has sent, fit to be shown:
// see [NewRefusal].
func clearSecrets(text []byte, secrets []string) string {
	text = text[:min(len(text), maxCleared)]
	p := plainOf(text)
	for _, secret := range secrets {
		p.hide(secret)
		// A backend quotes the credential without the scheme's name.
		if _, credential, ok := strings.Cut(secret, " "); ok {
			p.hide(credential)
		}
	}
	p.hideKeys()
	p.hideTokens()
	return p.show()
}

// plain is a text without its escape sequences, and what it was made of.
type plain struct {
	text []byte
	// from is where each byte stands in whole, and one more.
	from  []int
	whole []byte
	// hidden says which bytes of whole are to be hidden.
	hidden []bool
}

// maxEscapes is how often a text can have been escaped, one time over another.
const maxEscapes = 3

// plainOf undoes the escape sequences of JSON and of URLs.
func plainOf(text []byte) *plain {
	p := &plain{text: text, from: make([]int, 0, len(text)+1), whole: text, hidden: make([]bool, len(text))}
	for i := range len(text) + 1 {
		p.from = append(p.from, i)
	}
	for range maxEscapes {
		if bytes.IndexByte(p.text, '\\') >= 0 || bytes.IndexByte(p.text, '%') >= 0 {
			p.unescape()
		}
	}
	return p
}

// unescape undoes one layer.
func (p *plain) unescape() {
	text, from := make([]byte, 0, len(p.text)), make([]int, 0, len(p.from))
	for at := 0; at < len(p.text); {
		decoded, size := unescape(p.text[at:])
		text = append(text, decoded...)
		for range decoded {
			from = append(from, p.from[at])
		}
		at += size
	}
	p.text, p.from = text, append(from, p.from[len(p.text)])
}

// unescape returns what the first byte of a text, or the escape sequence that it begins
// with, stands for, and how long that is. Half of a surrogate pair is no character.
func unescape(text []byte) (decoded []byte, size int) {
	if text[0] != '\\' && text[0] != '%' {
		return text[:1], 1
	}
	for _, e := range []struct {
		before       string
		digits, bits int
	}{{`\u`, 4, 16}, {"%", 2, 8}} {
		digits, ok := bytes.CutPrefix(text, []byte(e.before))
		if !ok || len(digits) < e.digits {
			continue
		}
		n, err := strconv.ParseUint(string(digits[:e.digits]), 16, e.bits)
		if err != nil {
			continue
		}
		if e.bits == 8 {
			return []byte{byte(n)}, len(e.before) + e.digits
		}
		return utf8.AppendRune(nil, rune(n)), len(e.before) + e.digits
	}
	const from, to = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if text[0] == '\\' && len(text) > 1 {
		if i := strings.IndexByte(from, text[1]); i >= 0 {
			return []byte{to[i]}, 2
		}
	}
	return text[:1], 1
}

// mark hides a part of the text.
func (p *plain) mark(from, to int) { p.markWhole(p.from[from], p.from[to]) }

func (p *plain) markWhole(from, to int) {
	for i := from; i < to; i++ {
		p.hidden[i] = true
	}
}

// minSecretEnd is how much of a secret has to stand at the end of a text that may have
// been cut, in bytes, before it counts.
const minSecretEnd = 4

// hide hides a secret wherever it is, also where the text ends in the middle of it. One
// that looks like the beginning of an escape sequence stands there as it is.
func (p *plain) hide(secret string) {
	find(p.text, plainOf([]byte(secret)).text, p.mark)
	find(p.whole, []byte(secret), p.markWhole)
}

// find says where in a text a secret begins and ends.
func find(text, secret []byte, found func(from, to int)) {
	for at := range text {
		if bytes.HasPrefix(text[at:], secret) {
			found(at, at+len(secret))
		}
	}
	for n := minSecretEnd; n < len(secret); n++ {
		if bytes.HasSuffix(text, secret[:n]) {
			found(len(text)-n, len(text))
		}
	}
}

// hideKeys hides what stands between the lines that begin and end a key in PEM, these
// included.
func (p *plain) hideKeys() {
	for at := range p.text {
		if !bytes.HasPrefix(p.text[at:], []byte("-----BEGIN ")) {
			continue
		}
		to := len(p.text)
		if before, rest, ok := bytes.Cut(p.text[at:], []byte("-----END ")); ok {
			if label, _, ok := bytes.Cut(rest, []byte("-----")); ok {
				to = at + len(before) + len("-----END ") + len(label) + len("-----")
			}
		}
		p.mark(at, to)
	}
}

// hideTokens hides what looks like a credential.
func (p *plain) hideTokens() {
	scheme := false
	for at := 0; at < len(p.text); {
		if !isTokenByte(p.text[at]) {
			// Between a scheme and its credential there is no more than this.
			scheme = scheme && strings.IndexByte(" \t:\"'", p.text[at]) >= 0
			at++
			continue
		}
		end := at
		for end < len(p.text) && isTokenByte(p.text[end]) {
			end++
		}
		token := string(p.text[at:end])
		if looksSecret(token) || scheme && len(token) >= minCredential {
			p.mark(at, end)
		}
		scheme = schemes[strings.ToLower(token)]
		at = end
	}
}

// schemes are the authentication schemes whose credentials are hidden, and the names of
// header fields that have a credential and no scheme, in lower case.
var schemes = map[string]bool{
	"bearer":                   true,
	"basic":                    true,
	"agentassertion":           true,
	biscuitHeader:              true,
	"x-openai-agent-assertion": true,
}

const (
	// minCredential is the length in bytes from which on a text behind a scheme is taken
	// for its credential.
	minCredential = 12
	// minRandom is that of a text without other signs: a seed has 43 in base64.
	minRandom = 40
	// minJWT is that of a text with the beginning of a JSON object in base64.
	minJWT = 16
)

// isTokenByte reports whether c can be part of a JWT, of base64 in either alphabet, or
// of a token as RFC 6750, section 2.1, has it.
func isTokenByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~+/=", c) >= 0
}

// looksSecret tells what is made of random bytes, or is JSON in base64, from names,
// paths and short ids.
func looksSecret(token string) bool {
	if len(token) < minCredential {
		return false
	}
	if len(token) >= minJWT && strings.Contains(token, "eyJ") {
		return true
	}
	for _, prefix := range []string{"sk-", "rt_", "rt."} { // API keys and refresh tokens
		if strings.HasPrefix(token, prefix) {
			return true
		}
	}
	digits := strings.ContainsAny(token, "0123456789")
	lower, upper := token != strings.ToUpper(token), token != strings.ToLower(token)
	mixed := digits && (lower || upper)
	if strings.Contains(token, "/") { // which paths have, too
		mixed = digits && lower && upper
	}
	return len(token) >= minRandom && mixed
}

// show returns the beginning of the whole text, on one line of printable characters,
// without what is hidden.
func (p *plain) show() string {
	var b []byte
	appendText := func(part []byte) {
		for len(part) > 0 {
			r, size := utf8.DecodeRune(part)
			switch {
			case r == ' ' || r == '\t' || r == '\n' || r == '\r':
				if len(b) > 0 && b[len(b)-1] != ' ' {
					b = append(b, ' ')
				}
			case strconv.IsPrint(r):
				b = utf8.AppendRune(b, r)
			default:
				b = utf8.AppendRune(b, utf8.RuneError)
			}
			part = part[size:]
		}
	}
	for at := 0; at < len(p.hidden) && len(b) <= maxRefusalBody; {
		end := at
		for end < len(p.hidden) && p.hidden[end] == p.hidden[at] {
			end++
		}
		if p.hidden[at] {
			b = append(b, hiddenSecret...)
		} else {
			appendText(p.whole[at:end])
		}
		at = end
	}
	if len(b) > maxRefusalBody {
		const cut = "…"
		end := maxRefusalBody - len(cut)
		for !utf8.RuneStart(b[end]) {
			end--
		}
		b = append(b[:end], cut...)
	}
	return strings.TrimRight(string(b), " ")
}
