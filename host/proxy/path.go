package proxy

import (
	"encoding/hex"
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxDecodings bounds how often a path is decoded to see what it comes to.
const maxDecodings = 8

// checkPath says why a path, escaped as it was sent, does not pass: the code and the
// message of a refusal, or nothing. What the upstream makes of a path is not known
// here, so it is read in every way in which a server could read it: decoded once or
// more, a backslash for a slash, without parameters, slashes that are too many, or
// regard to case.
func checkPath(path string) (code, message string) {
	for range maxDecodings {
		switch {
		case !utf8.ValidString(path) || strings.ContainsFunc(path, unicode.IsControl):
			return CodeInvalidPath, "the path has a control character, or is not UTF-8 when it is decoded"
		case leadsUpwards(path):
			return CodeInvalidPath, "the path has a dot segment, and could lead out of the upstream's base URL"
		case registers(path):
			return CodeForbiddenPath, "biscuits and registrations are not passed on: what they answer with outlives the call; the proxy registers by itself what it needs"
		}
		decoded := unescape(path)
		if decoded == path {
			return "", ""
		}
		path = decoded
	}
	return CodeInvalidPath, "the path is escaped too many times over"
}

// unescape decodes what is escaped once. Unlike package net/url it leaves what is no
// escape as it is: servers that decode again do, too.
func unescape(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	var decoded strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			if b, err := hex.DecodeString(path[i+1 : i+3]); err == nil {
				decoded.Write(b)
				i += 2
				continue
			}
		}
		decoded.WriteByte(path[i])
	}
	return decoded.String()
}

// segments yields what is between the slashes of a path, and before a parameter.
func segments(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for s := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
			if s, _, _ = strings.Cut(s, ";"); !yield(s) {
				return
			}
		}
	}
}

// leadsUpwards reports whether a path has a dot segment.
func leadsUpwards(path string) bool {
	for s := range segments(path) {
		if s = strings.TrimFunc(s, unicode.IsSpace); s == "." || s == ".." {
			return true
		}
	}
	return false
}

// registers reports whether a path is one at which a client of any profile gets a
// biscuit, an identity or a task, or is below one. It may be anywhere in the path:
// where the upstream's base URL is a host's root, the registrations' own is below it.
func registers(path string) bool {
	before := ""
	for s := range segments(path) {
		name := firstWord(s)
		switch {
		case name == "":
			continue
		case strings.EqualFold(name, "authenticate_app_v2"),
			strings.EqualFold(before, "v1") && strings.EqualFold(name, "agent"),
			strings.EqualFold(before, "agent") && strings.EqualFold(name, "register"):
			return true
		}
		before = name
	}
	return false
}

// firstWord returns what a segment begins with, for servers that trim it, cut off a
// suffix such as .json, or stop at a ? that was escaped.
func firstWord(segment string) string {
	inWord := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '-' }
	begin := strings.IndexFunc(segment, inWord)
	if begin < 0 {
		return ""
	}
	segment = segment[begin:]
	if end := strings.IndexFunc(segment, func(r rune) bool { return !inWord(r) }); end >= 0 {
		segment = segment[:end]
	}
	return segment
}
