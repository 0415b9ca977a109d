package core

import (
	"bytes"
	"slices"
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
	return p.show(text)
}

// plain is a text without its escape sequences, and what of it is to be hidden.
type plain struct {
	text []byte
	// from is where each byte stands in the text that it was made of, and one more.
	from   []int
	hidden []bool
}

// maxEscapes is how often a text can have been escaped, one time over another.
const maxEscapes = 3

// plainOf undoes the escape sequences of JSON and of URLs.
func plainOf(text []byte) *plain {
	p := &plain{text: text, from: make([]int, len(text)+1)}
	for i := range p.from {
		p.from[i] = i
	}
	for range maxEscapes {
		if !bytes.ContainsAny(p.text, `\%`) {
			break
		}
		p.unescape()
	}
	p.hidden = make([]bool, len(p.text))
	return p
}

// unescape undoes one layer.
func (p *plain) unescape() {
	text, from := make([]byte, 0, len(p.text)), make([]int, 0, len(p.from))
	for at := 0; at < len(p.text); {
		r, size := rune(p.text[at]), 1
		decoded := false
		rest := p.text[at:]
		switch {
		case r == '\\' && len(rest) >= 6 && rest[1] == 'u':
			if n, err := strconv.ParseUint(string(rest[2:6]), 16, 16); err == nil {
				r, size, decoded = rune(n), 6, true
			}
		case r == '\\' && len(rest) >= 2:
			if i := strings.IndexByte(`"\/bfnrt`, rest[1]); i >= 0 {
				r, size, decoded = rune("\"\\/\b\f\n\r\t"[i]), 2, true
			}
		case r == '%' && len(rest) >= 3:
			if n, err := strconv.ParseUint(string(rest[1:3]), 16, 8); err == nil {
				text, from = append(text, byte(n)), append(from, p.from[at])
				at += 3
				continue
			}
		}
		before := len(text)
		if decoded {
			text = utf8.AppendRune(text, r)
		} else {
			text = append(text, p.text[at])
		}
		for range len(text) - before {
			from = append(from, p.from[at])
		}
		at += size
	}
	p.text, p.from = text, append(from, p.from[len(p.text)])
}

func (p *plain) mark(from, to int) {
	for i := from; i < to; i++ {
		p.hidden[i] = true
	}
}

// minSecretEnd is how much of a secret has to stand at the end of a text that may have
// been cut, in bytes, before it counts.
const minSecretEnd = 4

// hide hides a secret wherever it is, also where the text ends in the middle of it.
func (p *plain) hide(secret string) {
	if secret == "" {
		return
	}
	s := plainOf([]byte(secret)).text
	marked := 0
	for at := 0; ; at++ {
		i := bytes.Index(p.text[at:], s)
		if i < 0 {
			break
		}
		at += i
		p.mark(max(at, marked), at+len(s))
		marked = at + len(s)
	}
	for n := min(len(s)-1, len(p.text)); n >= minSecretEnd; n-- {
		if bytes.HasSuffix(p.text, s[:n]) {
			p.mark(len(p.text)-n, len(p.text))
			break
		}
	}
}

// hideKeys hides what stands between the lines that begin and end a key in PEM, these
// included.
func (p *plain) hideKeys() {
	const begin, end, dashes = "-----BEGIN ", "-----END ", "-----"
	for at := 0; ; {
		i := bytes.Index(p.text[at:], []byte(begin))
		if i < 0 {
			return
		}
		from, to := at+i, len(p.text)
		if j := bytes.Index(p.text[from:], []byte(end)); j >= 0 {
			last := from + j + len(end)
			if k := bytes.Index(p.text[last:], []byte(dashes)); k >= 0 {
				to = last + k + len(dashes)
			}
		}
		p.mark(from, to)
		at = to
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
		scheme = slices.ContainsFunc(schemes, func(s string) bool { return equalASCIIFold(s, token) })
		at = end
	}
}

// schemes are the authentication schemes whose credentials are hidden, and the names of
// header fields that have a credential and no scheme.
var schemes = []string{"Bearer", "Basic", Scheme, biscuitHeader, "X-OpenAI-Agent-Assertion"}

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
	switch {
	case len(token) >= minJWT && strings.Contains(token, "eyJ"):
		return true
	case len(token) >= minCredential && (strings.HasPrefix(token, "sk-") || strings.HasPrefix(token, "rt_") || strings.HasPrefix(token, "rt.")):
		return true
	}
	has := func(from, to byte) bool {
		return strings.ContainsFunc(token, func(r rune) bool { return rune(from) <= r && r <= rune(to) })
	}
	mixed := has('0', '9') && (has('a', 'z') || has('A', 'Z'))
	if strings.Contains(token, "/") { // which paths have, too
		mixed = has('0', '9') && has('a', 'z') && has('A', 'Z')
	}
	return len(token) >= minRandom && mixed
}

// show returns the beginning of the text that p was made of, on one line of printable
// characters, without what is hidden.
func (p *plain) show(text []byte) string {
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
			appendText(text[p.from[at]:p.from[end]])
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
