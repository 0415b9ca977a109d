package host

import (
	"context"
	"fmt"
	"net/http"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/hidden"
)

// MCPServer is what an MCP client is configured with: a streamable HTTP server
// and the header fields of its requests. They hold secrets, and formatting, logging and
// encoding it shows neither.
type MCPServer struct {
	URL     string
	Headers http.Header
}

// Format implements fmt.Formatter, and hides the header fields.
func (s MCPServer) Format(f fmt.State, _ rune) { hidden.Format(f, s) }

// MarshalText implements encoding.TextMarshaler, and hides them: encode the fields
// themselves, where a configuration is written.
func (s MCPServer) MarshalText() ([]byte, error) { return hidden.Text(s) }

// GobEncode implements gob.GobEncoder, and fails.
func (s MCPServer) GobEncode() ([]byte, error) { return hidden.Gob(s) }

// AppsMCPServer returns the configuration of the MCP server for apps. An explicit
// value of the Authorization header goes into it as it is; without one it gets
// the user's bearer token, for a configuration outlives every assertion. An
// identity that arrived as a JWT has no token beside it: its configuration gets an
// assertion, which the backend takes for minutes only. The errors are those of
// [Manager.Bearer].
func (m *Manager) AppsMCPServer(ctx context.Context, explicit string) (MCPServer, error) {
	surface, err := core.LookupSurface(core.SurfaceMCP)
	if err != nil {
		return MCPServer{}, err
	}
	a, err := m.Bearer(ctx)
	if err != nil {
		return MCPServer{}, err
	}
	if explicit != "" {
		a.header = &explicit
		if a.Mode == core.ModeNone {
			a.Mode = core.ModeBearer
		}
	}
	return MCPServer{URL: m.BaseURL() + surface.Path, Headers: a.Headers()}, nil
}
