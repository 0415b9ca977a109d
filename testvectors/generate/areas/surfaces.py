"""surface.match: which surface a call belongs to. All by hand, from the table."""

import captured
from areas.decisions import BEARER_ONLY, THREAD
from vectors import call, capture, protocol

TABLE = protocol("Who gets what, surfaces")
SEGMENTS = "this project's rule: a path matches in whole segments"

# (path, surface): the table's, and what is below where the table says so.
LISTED = [
    ("/authenticate_app_v2", "bootstrap"),
    ("/v1/agent/register", "bootstrap"),
    ("/v1/agent/agent-rt-2/task/register", "bootstrap"),
    # Where two surfaces share a path, the one of that name is reported; both get
    # the same authorization.
    ("/connectors/directory/list", "connectors"),
    ("/plugins", "plugins"),
    ("/plugins/featured", "plugins"),
    ("/plugins/a/b/c", "plugins"),
    ("/ps/plugins", "plugins"),
    ("/ps/plugins/installed", "plugins"),
    ("/wham/apps", "mcp"),
    ("/codex/analytics-events/events", "analytics"),
    ("/hazelnuts", "skills"),
    ("/hazelnuts/skill-1/download", "skills"),
    ("/codex/models", "models"),
    ("/wham/tasks", "cloud-tasks"),
    ("/wham/tasks/list", "cloud-tasks"),
    ("/wham/tasks/task-1/turns/2", "cloud-tasks"),
    ("/wham/config/requirements", "cloud-requirements"),
    ("/wham/remote/control/server", "remote-control"),
    ("/wham/remote/control/server/enroll", "remote-control"),
    ("/codex/responses", "responses"),
    ("/codex/responses/compact", "responses"),
    ("/files", "file-upload"),
    ("/files/file-1/uploaded", "file-upload"),
]

# (name, comment, path, surface)
QUERIES = [
    ("models", "a query", "/codex/models?client_version=0.123.0", "models"),
    ("empty", "an empty query", "/codex/models?", "models"),
    ("slash", "a slash before it", "/files/?a=b", "file-upload"),
    ("with-path", "a path in a query is none", "/x?/codex/responses", "background"),
    ("with-query", "only the first question mark counts", "/files?a?/x", "file-upload"),
    ("alone", "a query, and no path", "?/files", "background"),
]

# (name, comment, path)
UNKNOWN = [
    ("empty", "no path", ""),
    ("root", "a slash", "/"),
    ("unheard-of", "a path that the table does not list", "/x/y"),
    ("longer-segment", "a segment that goes on", "/codex/modelsx"),
    ("hyphen", "a segment that goes on", "/plugins-x"),
    ("dot", "a segment that goes on", "/files.txt"),
    ("longer-responses", "a segment that goes on", "/codex/responses2"),
    ("longer-bootstrap", "a segment that goes on", "/authenticate_app_v2x"),
    ("longer-agent", "a segment that goes on", "/v1/agents"),
    ("shorter-segment", "a segment that ends early", "/codex/model"),
    ("half", "half of a path", "/codex"),
    ("half-connectors", "half of a path", "/connectors/directory"),
    ("half-remote-control", "half of a path", "/wham/remote/control"),
    ("half-requirements", "half of a path", "/wham/config"),
    ("further-in", "a path that stands further in", "/x/codex/models"),
    ("base-url", "the path is the one below the base URL", "/backend-api/codex/models"),
    ("url", "a URL is no path", "https://chatgpt.com/backend-api/files"),
    ("no-slash", "a path begins with a slash", "files"),
    ("two-slashes", "an empty segment is one", "//files"),
    ("slash-inside", "an empty segment is one", "/codex//models"),
    ("other-case", "upper and lower case differ", "/Files"),
    ("ps-alone", "half of a path", "/ps"),
    ("ps-other", "another path beside it", "/ps/other"),
    ("wham-other", "another path beside it", "/wham/usage"),
    ("codex-other", "another path beside it", "/codex/other/responses"),
    ("non-ascii", "text beyond ASCII", "/文件"),
]


# The lines of the real client's calls. The first one of all, plugins, is sent
# before there is an identity, which its path does not tell.
CAPTURED = {
    1: "plugins",
    2: "bootstrap",
    3: "bootstrap",
    5: "bootstrap",
    6: "models",
    7: "mcp",
    8: "analytics",
    11: "connectors",
    13: "responses",
}


def scope(surface):
    """Return the scope of a surface."""
    if surface in THREAD:
        return "thread"
    return "bearer-only" if surface in BEARER_ONLY else "background"


def vectors():
    """Return the vectors of surfaces.json."""
    return list(match())


def match():
    """Yield the vectors of surface.match."""

    def vector(name, comment, source, path, surface):
        return call(
            f"match-{name}",
            comment,
            source,
            "surface.match",
            {"path": path},
            ok={"surface": surface, "scope": scope(surface)},
        )

    for path, surface in LISTED:
        name = path.strip("/").replace("/", "-")
        yield vector(name, f"a path of {surface}", TABLE, path, surface)
        yield vector(
            f"{name}-slash", "a slash at the end", SEGMENTS, f"{path}/", surface
        )
        yield vector(f"{name}-below", "a path below", SEGMENTS, f"{path}/x", surface)
        yield vector(
            f"{name}-query", "a query is no part of it", TABLE, f"{path}?a=/b", surface
        )
    for name, comment, path, surface in QUERIES:
        yield vector(f"query-{name}", comment, TABLE, path, surface)
    for name, comment, path in UNKNOWN:
        yield vector(f"unknown-{name}", comment, SEGMENTS, path, "background")
    for line, surface in CAPTURED.items():
        path = captured.ENABLED[line]["path"].removeprefix("/backend-api")
        yield vector(
            f"captured-{line}",
            "a call of the real client",
            capture("enabled.jsonl", line),
            path,
            surface,
        )
