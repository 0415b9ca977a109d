package proxy

import (
	"net/url"
	"path"
	"strings"
	"testing"
)

// FuzzPath: what passes is no registration's path to a server that decodes it up
// to three times, takes a backslash for a slash, drops parameters, resolves dots, and
// does not care for case.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"/codex/models", "/%2561uthenticate_app_v2;x", `/x\..\V1//agent/register`, "/a%2f..%3b/v1/%61gent", "/100%25/%C3%A9", "/%", "//v1%5cagent",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent string) {
		if code, _ := checkPath(sent); code != "" {
			return
		}
		read := sent
		for range 3 {
			var plain []string
			for s := range strings.SplitSeq(strings.ReplaceAll(read, `\`, "/"), "/") {
				s, _, _ = strings.Cut(s, ";")
				plain = append(plain, s)
			}
			resolved := strings.ToLower(path.Clean("/" + strings.Join(plain, "/")))
			for _, registration := range []string{"/authenticate_app_v2", "/v1/agent"} {
				if rest, ok := strings.CutPrefix(resolved, registration); ok && (rest == "" || rest[0] == '/') {
					t.Errorf("%q passes, and is %q", sent, resolved)
				}
			}
			decoded, err := url.PathUnescape(read)
			if err != nil {
				return
			}
			read = decoded
		}
	})
}
