//go:build interop && unix

package interop

import (
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// profile is one of ours.
type profile struct {
	name string // as our tool knows it
	wire string // as a manager does
	// authAPIURL is where it registers, if not at the backend.
	authAPIURL string
}

var (
	biscuit  = profile{name: "biscuit", wire: wire.ProfileBiscuit}
	authAPI  = profile{name: "auth-api", wire: wire.ProfileAuthAPI, authAPIURL: authAPIURL}
	profiles = []profile{biscuit, authAPI}
)

// args are those of our tool.
func (p profile) args() []string {
	args := []string{"--profile", p.name}
	if p.authAPIURL != "" {
		// A header is for no conversation, and so asserts only if all do.
		args = append(args, "--auth-api-url", p.authAPIURL, "--all-surfaces")
	}
	return args
}

// configure makes it the profile of a manager.
func (p profile) configure(c *host.ManagerConfig) {
	c.Profile, c.AuthAPIURL, c.AllSurfaces = p.wire, p.authAPIURL, true
}
