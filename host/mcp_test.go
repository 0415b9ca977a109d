package host_test

import (
	"context"
	"maps"
	"net/http"
	"testing"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

func TestAppsMCPServer(t *testing.T) {
	const explicit = "Bearer of-the-user's-choice"
	none := func(c *host.Credentials) { *c = host.Credentials{Kind: wire.CredentialsNone} }
	for _, tt := range []struct {
		name     string
		explicit string
		change   func(*host.Credentials)
		want     map[string]string // TOKEN stands for the access token
	}{
		{"bearer", "", func(*host.Credentials) {},
			map[string]string{"Authorization": "Bearer TOKEN", "Chatgpt-Account-Id": "acct-1"}},
		{"explicit", explicit, func(*host.Credentials) {},
			map[string]string{"Authorization": explicit, "Chatgpt-Account-Id": "acct-1"}},
		{"FedRAMP", "", func(c *host.Credentials) { c.FedRAMP = true },
			map[string]string{"Authorization": "Bearer TOKEN", "Chatgpt-Account-Id": "acct-1", "X-Openai-Fedramp": "true"}},
		{"explicit, FedRAMP", explicit, func(c *host.Credentials) { c.FedRAMP = true },
			map[string]string{"Authorization": explicit, "Chatgpt-Account-Id": "acct-1", "X-Openai-Fedramp": "true"}},
		{"nobody is signed in", "", none, map[string]string{}},
		{"explicit, nobody is signed in", explicit, none, map[string]string{"Authorization": explicit}},
		{"no access token", "", func(c *host.Credentials) { c.AccessToken = "" }, map[string]string{}},
		{"explicit, no access token", explicit, func(c *host.Credentials) { c.AccessToken = "" },
			map[string]string{"Authorization": explicit, "Chatgpt-Account-Id": "acct-1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			credentials := w.credentials()
			tt.change(&credentials)
			c := w.config()
			c.Credentials = fixed(credentials)
			m := manager(t, c)
			for range 2 {
				server, err := m.AppsMCPServer(context.Background(), tt.explicit)
				if err != nil {
					t.Fatal(err)
				}
				want := http.Header{}
				for name, value := range tt.want {
					if value == "Bearer TOKEN" {
						value = "Bearer " + credentials.AccessToken
					}
					want.Set(name, value)
				}
				if server.URL != baseURL+"/wham/apps" || !maps.EqualFunc(server.Headers, want, func(a, b []string) bool {
					return len(a) == 1 && len(b) == 1 && a[0] == b[0]
				}) {
					t.Errorf("got %s with %d header fields, want %s/wham/apps with %v", server.URL, len(server.Headers), baseURL, tt.want)
				}
			}
			// An override is this configuration's alone.
			if a, err := m.Bearer(context.Background()); err != nil || a.Header() == explicit {
				t.Errorf("the bearer's authorization: got %v, %v", a, err)
			}
			checkCount(t, "requests", w.network.count(), 0)
		})
	}
}

func TestAppsMCPServerFails(t *testing.T) {
	w := newWorld()
	m := manager(t, w.config())
	closeManager(t, m)
	for _, explicit := range []string{"", "Bearer of-the-user's-choice"} {
		_, err := m.AppsMCPServer(context.Background(), explicit)
		checkCode(t, err, host.CodeClosed)
	}
}
