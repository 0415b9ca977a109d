package core

import (
	"slices"
	"strconv"
	"strings"
)

// Scope says whose authorization a surface gets.
type Scope string

const (
	// ScopeBackground surfaces belong to no conversation, and use the
	// background task.
	ScopeBackground Scope = "background"
	// ScopeThread surfaces belong to a conversation, and use its task.
	ScopeThread Scope = "thread"
	// ScopeBearerOnly surfaces carry the user's own token, because there is
	// nothing to assert with yet.
	ScopeBearerOnly Scope = "bearer-only"
)

// Surface is one kind of backend call.
type Surface struct {
	Name  string
	Scope Scope
	// Method and Path, below the base URL, are those of a typical call.
	Method, Path string
}

// The surfaces' names.
const (
	SurfaceApps              = "apps"
	SurfaceConnectors        = "connectors"
	SurfacePlugins           = "plugins"
	SurfaceMCP               = "mcp"
	SurfaceAnalytics         = "analytics"
	SurfaceSkills            = "skills"
	SurfaceModels            = "models"
	SurfaceCloudTasks        = "cloud-tasks"
	SurfaceCloudRequirements = "cloud-requirements"
	SurfaceRemoteControl     = "remote-control"
	SurfaceResponses         = "responses"
	SurfaceFileUpload        = "file-upload"
	SurfaceMCPFileUpload     = "mcp-file-upload"
	SurfaceSafetyMonitor     = "safety-monitor"
	SurfaceBootstrap         = "bootstrap"
	// SurfaceBackground is a background call that the table does not list.
	SurfaceBackground = "background"
)

// surfaces is the table of the protocol, in its order. Where a path was not
// observed whole, the example ends in what was.
var surfaces = []Surface{
	{SurfaceApps, ScopeBackground, "GET", "/connectors/directory/list"},
	{SurfaceConnectors, ScopeBackground, "GET", "/connectors/directory/list"},
	{SurfacePlugins, ScopeBackground, "GET", "/plugins/featured"},
	{SurfaceMCP, ScopeBackground, "POST", "/wham/apps"},
	{SurfaceAnalytics, ScopeBackground, "POST", "/codex/analytics-events/events"},
	{SurfaceSkills, ScopeBackground, "GET", "/hazelnuts"},
	{SurfaceModels, ScopeBackground, "GET", "/codex/models"},
	{SurfaceCloudTasks, ScopeBackground, "GET", "/wham/tasks"},
	{SurfaceCloudRequirements, ScopeBackground, "GET", "/wham/config/requirements"},
	{SurfaceRemoteControl, ScopeBackground, "GET", "/wham/remote/control/server"},
	{SurfaceResponses, ScopeThread, "POST", "/codex/responses"},
	{SurfaceFileUpload, ScopeThread, "POST", "/files"},
	{SurfaceMCPFileUpload, ScopeThread, "POST", "/files"},
	{SurfaceSafetyMonitor, ScopeThread, "POST", ""},
	{SurfaceBootstrap, ScopeBearerOnly, "GET", "/authenticate_app_v2"},
}

// otherBackground is what is not in the table.
var otherBackground = Surface{SurfaceBackground, ScopeBackground, "GET", ""}

// Surfaces returns the surfaces of the protocol's table, in its order.
func Surfaces() []Surface { return slices.Clone(surfaces) }

// LookupSurface returns the surface of that name. The error's code is
// CodeUnknownSurface.
func LookupSurface(name string) (Surface, error) {
	for _, s := range surfaces {
		if s.Name == name {
			return s, nil
		}
	}
	if name == SurfaceBackground {
		return otherBackground, nil
	}
	return Surface{}, fail(CodeUnknownSurface, "there is no surface of that name; the protocol has apps, connectors, plugins, mcp, analytics, skills, models, cloud-tasks, cloud-requirements, remote-control, responses, file-upload, mcp-file-upload, safety-monitor and bootstrap, and background is any other")
}

// paths says which surface the calls below a path belong to. The longest that
// matches counts. Where the protocol has two surfaces for one path, both get
// the same authorization.
var paths = []struct{ path, surface string }{
	{"/authenticate_app_v2", SurfaceBootstrap},
	{"/v1/agent", SurfaceBootstrap},
	{"/connectors/directory/list", SurfaceConnectors},
	{"/plugins", SurfacePlugins},
	{"/ps/plugins", SurfacePlugins},
	{"/wham/apps", SurfaceMCP},
	{"/codex/analytics-events", SurfaceAnalytics},
	{"/hazelnuts", SurfaceSkills},
	{"/codex/models", SurfaceModels},
	{"/wham/tasks", SurfaceCloudTasks},
	{"/wham/config/requirements", SurfaceCloudRequirements},
	{"/wham/remote/control/server", SurfaceRemoteControl},
	{"/codex/responses", SurfaceResponses},
	{"/files", SurfaceFileUpload},
}

// LocateSurface reports whether a URL is below a base URL, and if so returns the
// surface of a call to it. Only then may the call be authorized, for an
// authorization must not reach another backend, nor another part of the same one.
//
// The base URL is a normalized one, and the URL absolute, as it is sent, though
// its query and fragment do not count. It is below if it has the same scheme, host
// and port, the default one written or not, and its path, with nothing decoded, is
// the base URL's or goes on with a slash. What could be read as something else is
// not below: user info, a backslash, a space, a control character, a character
// beyond ASCII, or a segment that leads upwards, its dots escaped or not, however
// often, and with spaces or control characters around them.
//
// The error's code is CodeInvalidBaseURL, and about the base URL.
func LocateSurface(baseURL, url string) (Surface, bool, error) {
	base, basePath, err := parseURL(baseURL, notInBaseURL)
	if err != nil {
		return Surface{}, false, err
	}
	if end := strings.IndexAny(url, "?#"); end >= 0 {
		url = url[:end]
	}
	o, path, err := parseURL(url, "\\")
	if err != nil || o != base {
		return Surface{}, false, nil
	}
	path, ok := strings.CutPrefix(path, basePath)
	if !ok || path != "" && path[0] != '/' || leadsUp(path) {
		return Surface{}, false, nil
	}
	return MatchSurface(path), true, nil
}

// maxDecodings is how many times a path is decoded, at most: a proxy can decode it, and
// the server behind it once more.
const maxDecodings = 4

// leadsUp reports whether a path has a segment that leads upwards, for a server that
// resolves it: also for one that decodes it first, however often, takes a backslash for
// a slash, leaves out what follows a semicolon, or spaces and control characters, as
// Windows does at a name's end, or reads a character in a longer form than it has. What
// is encoded even more often counts as such.
func leadsUp(path string) bool {
	for range maxDecodings {
		if hasUpwardSegment(path) {
			return true
		}
		decoded := decodeEscapes(path)
		if decoded == path {
			return false
		}
		path = decoded
	}
	return true
}

// hasUpwardSegment reports whether a path has a segment of nothing but dots, two or
// more.
func hasUpwardSegment(path string) bool {
	dots := 0
	path += "/"
	for i := range len(path) {
		switch c := path[i]; {
		case c == '/' || c == '\\' || c == ';':
			if dots > 1 {
				return true
			}
			dots = 0
		case c == 0xc0 || c == 0xc1 || c == 0xe0 && path[i+1] < 0xa0 || c == 0xf0 && path[i+1] < 0x90:
			return true // no character begins so (RFC 3629, section 3)
		case c <= ' ' || c == 0x7f:
		case c == '.' && dots >= 0:
			dots++
		default:
			dots = -1 // a name
		}
	}
	return false
}

// decodeEscapes decodes what is percent-encoded, once.
func decodeEscapes(path string) string {
	b := make([]byte, 0, len(path))
	for len(path) > 0 {
		if path[0] == '%' && len(path) > 2 {
			if c, err := strconv.ParseUint(path[1:3], 16, 8); err == nil {
				b, path = append(b, byte(c)), path[3:]
				continue
			}
		}
		b, path = append(b, path[0]), path[1:]
	}
	return string(b)
}

// MatchSurface returns the surface of a call by its path below the base URL,
// with or without a query; the same for every method. What the table does not
// list is SurfaceBackground. A path matches in whole segments.
func MatchSurface(path string) Surface {
	path, _, _ = strings.Cut(path, "?")
	best := ""
	name := SurfaceBackground
	for _, p := range paths {
		rest, ok := strings.CutPrefix(path, p.path)
		if ok && (rest == "" || rest[0] == '/') && len(p.path) > len(best) {
			best, name = p.path, p.surface
		}
	}
	// Every name in the table of paths is one.
	s, _ := LookupSurface(name)
	return s
}
