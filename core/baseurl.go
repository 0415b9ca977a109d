package core

import (
	"slices"
	"strconv"
	"strings"

	"github.com/agentassert/agentassert/core/wire"
)

// NormalizeBaseURL returns the base URL that a configured URL stands for, its
// host, and whether background calls to that host may carry assertions. The
// trusted hosts are supported beside the built-in ones.
//
// The rules are those of the reference client, in the order of its later
// versions: strip trailing slashes; strip the suffix of a remote-control URL;
// strip /codex, but not from /api/codex; append /backend-api for the two
// public hosts, but not to /api/codex.
//
// Errors: CodeInvalidBaseURL, CodeInvalidTrustedHost.
func NormalizeBaseURL(url string, trustedHosts []string) (wire.BaseURL, error) {
	o, _, err := parseURL(url, notInBaseURL)
	if err != nil {
		return wire.BaseURL{}, err
	}
	// The suffixes are the path's: a host can be called codex.
	scheme, rest, _ := strings.Cut(url, "://")
	authority, path, _ := strings.Cut(rest, "/")
	path = strings.TrimRight("/"+path, "/")
	for _, suffix := range []string{"/wham/remote/control/server/enroll", "/wham/remote/control/server"} {
		if s, ok := strings.CutSuffix(path, suffix); ok {
			path = s
			break
		}
	}
	if !strings.HasSuffix(path, "/api/codex") {
		path = strings.TrimSuffix(path, "/codex")
	}
	base := scheme + "://" + authority + strings.TrimRight(path, "/")
	public := strings.HasPrefix(base, "https://chatgpt.com") || strings.HasPrefix(base, "https://chat.openai.com")
	if public && !strings.Contains(base, "/backend-api") && !strings.HasSuffix(base, "/api/codex") {
		base += "/backend-api"
	}
	supported, err := supportedHost(o.host, trustedHosts)
	if err != nil {
		return wire.BaseURL{}, err
	}
	return wire.BaseURL{BaseURL: base, Host: o.host, Supported: supported}, nil
}

// supportedHost applies the rule that looks at the host alone. The host is as
// parseURL returns it.
func supportedHost(host string, trustedHosts []string) (bool, error) {
	supported := false
	for _, t := range trustedHosts {
		trusted, err := parseHost(t)
		if err != nil {
			return false, fail(CodeInvalidTrustedHost, "the trusted host "+strconv.Quote(t)+" is not a bare host name or address, without scheme, port and path")
		}
		supported = supported || trusted == host
	}
	return supported ||
		slices.Contains([]string{"chatgpt.com", "chat.openai.com", "chatgpt-staging.com"}, host) ||
		strings.HasSuffix(host, ".chatgpt.com") ||
		strings.HasSuffix(host, ".chatgpt-staging.com"), nil
}

// origin is what two URLs have in common if they lead to one server.
type origin struct {
	scheme string
	// host is in lower case, without port and brackets.
	host string
	// port is the scheme's where the URL has none.
	port uint64
}

// notInBaseURL are the printable characters that a base URL must not contain.
const notInBaseURL = "\\?#@\"<>^`{|}"

// parseURL checks an absolute http or https URL without user info, query and
// fragment, and returns its origin and its path. It refuses everything that two
// parsers could take for two different hosts, and the characters in forbidden.
func parseURL(url, forbidden string) (o origin, path string, err error) {
	invalid := func(problem string) (origin, string, error) {
		return origin{}, "", fail(CodeInvalidBaseURL, "the base URL "+problem)
	}
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok || (scheme != "https" && scheme != "http") {
		return invalid("does not start with https:// or http://")
	}
	for i := range len(rest) {
		if c := rest[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(forbidden, c) >= 0 {
			return invalid("contains a character that it must not: a space, a control character, or one of @ ? # \\ \" < > ^ ` { | } or beyond ASCII")
		}
	}
	authority := rest
	if slash := strings.IndexByte(rest, '/'); slash >= 0 {
		authority, path = rest[:slash], rest[slash:]
	}
	name, port := authority, uint64(80)
	if scheme == "https" {
		port = 443
	}
	if at := strings.LastIndexByte(authority, ':'); at >= 0 && !strings.HasSuffix(authority, "]") {
		name = authority[:at]
		port, err = strconv.ParseUint(authority[at+1:], 10, 16)
		if err != nil || port == 0 || authority[at+1] == '+' {
			return invalid("has a port that is not a number from 1 to 65535")
		}
	}
	if strings.Contains(name, ":") && !strings.HasPrefix(name, "[") {
		return invalid("has an IPv6 address without brackets, or two ports")
	}
	host, err := parseHost(name)
	if err != nil {
		return invalid("has no valid host")
	}
	return origin{scheme, host, port}, path, nil
}

// parseHost checks a host name, an IPv4 address, or an IPv6 address with or
// without brackets, and returns it in lower case, without brackets.
func parseHost(s string) (string, error) {
	s = strings.ToLower(s)
	inner, bracketed := strings.CutPrefix(s, "[")
	if bracketed {
		inner, bracketed = strings.CutSuffix(inner, "]")
		if !bracketed || !isIPv6(inner) {
			return "", fail(CodeInvalidTrustedHost, "no IPv6 address in brackets")
		}
		return inner, nil
	}
	if isIPv6(s) {
		return s, nil
	}
	if s == "" || len(s) > 253 || strings.HasPrefix(s, ".") || strings.Contains(s, "..") {
		return "", fail(CodeInvalidTrustedHost, "no host")
	}
	for i := range len(s) {
		if strings.IndexByte("abcdefghijklmnopqrstuvwxyz0123456789.-_", s[i]) < 0 {
			return "", fail(CodeInvalidTrustedHost, "no host")
		}
	}
	return s, nil
}

// isIPv6 checks the form of an IPv6 address (RFC 3986, section 3.2.2): groups
// of one to four hexadecimal digits, eight of them, or fewer and one gap; an
// IPv4 address can stand for the last two. There are no zones in a URL's host.
func isIPv6(s string) bool {
	before, after, gap := strings.Cut(s, "::")
	count := 0
	for i, part := range []string{before, after} {
		if part == "" {
			continue
		}
		groups := strings.Split(part, ":")
		if last := groups[len(groups)-1]; (i == 1 || !gap) && isIPv4(last) {
			groups = groups[:len(groups)-1]
			count += 2
		}
		for _, group := range groups {
			if len(group) < 1 || len(group) > 4 || strings.Trim(group, "0123456789abcdef") != "" {
				return false
			}
			count++
		}
	}
	return gap && count < 8 || !gap && count == 8
}

func isIPv4(s string) bool {
	parts := strings.Split(s, ".")
	for _, part := range parts {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil || strconv.FormatUint(n, 10) != part {
			return false
		}
	}
	return len(parts) == 4
}
