package core

import "slices"

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

// Surfaces returns all surfaces, in the order of the protocol's table.
func Surfaces() []Surface { return slices.Clone(surfaces) }

// LookupSurface returns the surface of that name. The error's code is
// CodeUnknownSurface.
func LookupSurface(name string) (Surface, error) {
	for _, s := range surfaces {
		if s.Name == name {
			return s, nil
		}
	}
	return Surface{}, fail(CodeUnknownSurface, "there is no surface of that name; the protocol has apps, connectors, plugins, mcp, analytics, skills, models, cloud-tasks, cloud-requirements, remote-control, responses, file-upload, mcp-file-upload, safety-monitor and bootstrap")
}
