"""surface.lookup, surface.match, surface.locate: which surface a call belongs to.

All by hand, from the table. What is below a base URL is checked by the standard
library's parser.
"""

import ipaddress
import re
import urllib.parse

import captured
from areas.base_urls import STRICT
from areas.decisions import BACKGROUND, BEARER_ONLY, SUPPORTED, THREAD
from vectors import call, capture, protocol

TABLE = protocol("Who gets what, surfaces")
NAMES = "this project's ABI"
BELOW = "this project's rule: an authorization stays below the base URL"
SEGMENTS = "this project's rule: a path matches in whole segments"

# Typical calls; what is not known of them is left out.
TYPICAL = {
    "apps": ("GET", "/connectors/directory/list"),
    "connectors": ("GET", "/connectors/directory/list"),
    "plugins": ("GET", "/plugins/featured"),
    "mcp": ("POST", "/wham/apps"),
    "analytics": ("POST", "/codex/analytics-events/events"),
    "skills": ("GET", "/hazelnuts"),
    "models": ("GET", "/codex/models"),
    "cloud-tasks": ("GET", "/wham/tasks"),
    "cloud-requirements": ("GET", "/wham/config/requirements"),
    "remote-control": ("GET", "/wham/remote/control/server"),
    "responses": ("POST", "/codex/responses"),
    "file-upload": ("POST", "/files"),
    "mcp-file-upload": ("POST", "/files"),
    "safety-monitor": ("POST", ""),
    "bootstrap": ("GET", "/authenticate_app_v2"),
    "background": ("GET", ""),
}

# (name, comment, text)
NO_SURFACES = [
    ("empty", "no name", ""),
    ("unheard-of", "a name that the protocol does not have", "telemetry"),
    ("capital", "upper and lower case differ", "Apps"),
    ("upper-case", "upper and lower case differ", "RESPONSES"),
    ("upper-case-background", "upper and lower case differ", "Background"),
    ("space-before", "no space is cut off", " responses"),
    ("space-after", "no space is cut off", "responses "),
    ("line-feed", "no line feed is cut off", "responses\n"),
    ("nul", "a name ends where the text does", "responses\0"),
    ("prefix", "the beginning of a name", "response"),
    ("longer", "a name that goes on", "responses2"),
    ("underscore", "an underscore for a hyphen", "cloud_tasks"),
    ("two", "two names", "apps,connectors"),
    ("path", "a path is no name", "/codex/responses"),
    ("scope", "a scope is no surface", "thread"),
    ("bearer-only", "a scope is no surface", "bearer-only"),
    ("star", "there are no patterns", "*"),
    ("non-ascii", "a letter that only looks alike", "\u0430pps"),
    ("long", "a long name", "apps" * 1000),
]

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


BASE = "https://chatgpt.com/backend-api"
OTHER = "https://backend.example"
V6 = "http://[2001:db8::1]:8080/x"

# (name, comment, base URL, URL, surface)
INSIDE = [
    ("itself", "the base URL", BASE, BASE, "background"),
    ("slash", "a slash at its end", BASE, f"{BASE}/", "background"),
    ("slashes", "an empty segment", BASE, f"{BASE}//", "background"),
    ("slashes-before", "an empty segment is one", BASE, f"{BASE}//files", "background"),
    ("unlisted", "any path below", BASE, f"{BASE}/x/y", "background"),
    ("tilde", "a tilde ends no path", BASE, f"{BASE}/files~x", "background"),
    (
        "tilde-below",
        "and is a character like any other",
        BASE,
        f"{BASE}/~/files",
        "background",
    ),
    ("dots-mark", "dots, and a mark: a name", BASE, f"{BASE}/..!/x", "background"),
    ("dots-mark-between", "and between them", BASE, f"{BASE}/.!./x", "background"),
    ("dots-after-letter", "dots after a letter", BASE, f"{BASE}/a.../x", "background"),
    (
        "three-bytes",
        "the first character of three bytes",
        BASE,
        f"{BASE}/%e0%a0%80/x",
        "background",
    ),
    (
        "three-bytes-after-letter",
        "the same after a letter",
        BASE,
        f"{BASE}/a%E0%A0%80",
        "background",
    ),
    (
        "four-bytes",
        "the first character of four bytes",
        BASE,
        f"{BASE}/%f0%90%80%80/x",
        "background",
    ),
    (
        "four-bytes-after-letter",
        "the same after a letter",
        BASE,
        f"{BASE}/a%F0%90%80%80",
        "background",
    ),
    ("twice", "a path of its own", BASE, f"{BASE}/backend-api/files", "background"),
    ("no-path", "a base URL without a path", OTHER, OTHER, "background"),
    ("no-path-slash", "and the root", OTHER, f"{OTHER}/", "background"),
    ("no-path-files", "and a path", OTHER, f"{OTHER}/files", "file-upload"),
    ("no-path-query", "and a query", OTHER, f"{OTHER}?/x", "background"),
    (
        "api-codex",
        "another path",
        f"{OTHER}/api/codex",
        f"{OTHER}/api/codex/files",
        "file-upload",
    ),
    # Origins.
    (
        "host-case",
        "hosts are the same in any case",
        BASE,
        "https://ChatGPT.COM/backend-api/files",
        "file-upload",
    ),
    (
        "host-case-base",
        "in the base URL, too",
        "https://ChatGPT.com/backend-api",
        f"{BASE}/files",
        "file-upload",
    ),
    (
        "port-default",
        "the default port",
        BASE,
        "https://chatgpt.com:443/backend-api/files",
        "file-upload",
    ),
    (
        "port-default-base",
        "it is the base URL's",
        "https://chatgpt.com:443/backend-api",
        f"{BASE}/files",
        "file-upload",
    ),
    (
        "port-default-both",
        "it is both's",
        f"{OTHER}:443",
        f"{OTHER}:443/files",
        "file-upload",
    ),
    (
        "port-zeroes",
        "the same number",
        BASE,
        "https://chatgpt.com:00443/backend-api/files",
        "file-upload",
    ),
    (
        "port-http",
        "the default port of http",
        "http://localhost",
        "http://localhost:80/files",
        "file-upload",
    ),
    (
        "port-http-base",
        "it is the base URL's",
        "http://localhost:80",
        "http://localhost/files",
        "file-upload",
    ),
    (
        "port-other",
        "another port, and the same",
        "http://localhost:8080",
        "http://localhost:8080/files",
        "file-upload",
    ),
    (
        "port-of-https",
        "a port that is https's",
        "http://localhost:443",
        "http://localhost:443/files",
        "file-upload",
    ),
    (
        "port-highest",
        "the highest port",
        f"{OTHER}:65535",
        f"{OTHER}:65535/files",
        "file-upload",
    ),
    (
        "trailing-dot-both",
        "the same host, with a dot",
        "https://chatgpt.com./x",
        "https://chatgpt.com./x/files",
        "file-upload",
    ),
    (
        "underscore",
        "an underscore in the host",
        "http://a_b",
        "http://a_b/files",
        "file-upload",
    ),
    (
        "ipv4",
        "an IPv4 address",
        "http://192.0.2.1",
        "http://192.0.2.1/files",
        "file-upload",
    ),
    ("ipv6", "an IPv6 address", V6, f"{V6}/files", "file-upload"),
    (
        "ipv6-case",
        "its letters in any case",
        V6,
        "http://[2001:DB8::1]:8080/x/files",
        "file-upload",
    ),
    (
        "ipv6-port-default",
        "with the default port",
        "http://[::1]",
        "http://[::1]:80/files",
        "file-upload",
    ),
    (
        "ipv6-ipv4",
        "an IPv4 address at its end",
        "http://[::ffff:192.0.2.1]",
        "http://[::FFFF:192.0.2.1]/files",
        "file-upload",
    ),
    # Query and fragment.
    ("query", "a query", BASE, f"{BASE}/codex/models?client_version=1", "models"),
    (
        "query-at-once",
        "a query, and no path below",
        BASE,
        f"{BASE}?/files",
        "background",
    ),
    ("query-empty", "an empty query", BASE, f"{BASE}/files?", "file-upload"),
    (
        "query-dots",
        "a query leads nowhere",
        BASE,
        f"{BASE}/files?/../../x",
        "file-upload",
    ),
    (
        "query-path",
        "a path in a query is none",
        BASE,
        f"{BASE}/x?/codex/responses",
        "background",
    ),
    (
        "query-user",
        "a user in a query is none",
        BASE,
        f"{BASE}/files?a@evil.example",
        "file-upload",
    ),
    (
        "query-url",
        "a URL in a query",
        BASE,
        f"{BASE}/files?u=https://evil.example/",
        "file-upload",
    ),
    (
        "query-backslash",
        "what is in a query does not count",
        BASE,
        f"{BASE}/files?\\",
        "file-upload",
    ),
    (
        "query-non-ascii",
        "what is in a query does not count",
        BASE,
        f"{BASE}/files?\u00e9",
        "file-upload",
    ),
    ("fragment", "a fragment", BASE, f"{BASE}/files#x", "file-upload"),
    (
        "fragment-at-once",
        "a fragment, and no path below",
        BASE,
        f"{BASE}#/files",
        "background",
    ),
    (
        "fragment-dots",
        "a fragment leads nowhere",
        BASE,
        f"{BASE}/files#/../../x",
        "file-upload",
    ),
    (
        "fragment-query",
        "no query, but a fragment",
        BASE,
        f"{BASE}/files#?/x",
        "file-upload",
    ),
    (
        "fragment-after-query",
        "a query and a fragment",
        BASE,
        f"{BASE}/files?a#b?c#d/e",
        "file-upload",
    ),
    # Paths.
    (
        "case-below",
        "paths are compared as they are",
        BASE,
        f"{BASE}/Files",
        "background",
    ),
    (
        "longer-segment",
        "a path matches in whole segments",
        BASE,
        f"{BASE}/filesx",
        "background",
    ),
    ("dot", "a dot stays", BASE, f"{BASE}/./files", "background"),
    ("dot-escaped", "and leads nowhere", BASE, f"{BASE}/%2e/files", "background"),
    ("dots-in-names", "dots in a name", BASE, f"{BASE}/a..b/..c/d..", "background"),
    (
        "dots-escaped-in-names",
        "dots in a name",
        BASE,
        f"{BASE}/%2e%2e%2ea/x%2e%2E",
        "background",
    ),
    ("semicolon", "a semicolon is a name's", BASE, f"{BASE}/x;y/z", "background"),
    ("dot-space", "a dot and a space", BASE, f"{BASE}/.%20/x", "background"),
    ("space-escaped", "a space", BASE, f"{BASE}/%20/x", "background"),
    ("dots-space-name", "a name all the same", BASE, f"{BASE}/..%20a/x", "background"),
    (
        "escaped-three-times",
        "a path that is encoded a few times",
        BASE,
        f"{BASE}/%252541",
        "background",
    ),
    ("utf-8-escaped", "a letter in UTF-8", BASE, f"{BASE}/%C3%A9", "background"),
    ("utf-8-euro", "a sign of three bytes", BASE, f"{BASE}/%e2%82%ac", "background"),
    ("latin-1-escaped", "a letter in Latin-1", BASE, f"{BASE}/%e9", "background"),
    ("escape-none", "no hexadecimal digits", BASE, f"{BASE}/%2g%-1", "background"),
    ("escape-short", "an escape that ends early", BASE, f"{BASE}/..%2", "background"),
    (
        "slash-escaped",
        "an escaped slash is no slash",
        BASE,
        f"{BASE}/codex%2Fresponses",
        "background",
    ),
    (
        "letter-escaped",
        "an escaped letter is another",
        BASE,
        f"{BASE}/%66iles",
        "background",
    ),
    (
        "query-escaped",
        "an escaped question mark begins no query",
        BASE,
        f"{BASE}/files%3F",
        "background",
    ),
    ("at", "in a path there is no user", BASE, f"{BASE}/@me", "background"),
    ("colon", "in a path there is no port", BASE, f"{BASE}/a:b", "background"),
    (
        "percent",
        "a percent sign that escapes nothing",
        BASE,
        f"{BASE}/100%",
        "background",
    ),
    (
        "printable",
        "what a base URL must not contain",
        BASE,
        f'{BASE}/"<>^`{{|}}[]',
        "background",
    ),
    (
        "base-escaped",
        "the base URL's path, as it is sent",
        f"{OTHER}/%62",
        f"{OTHER}/%62/files",
        "file-upload",
    ),
    (
        "base-dots",
        "the part below is what must not lead upwards",
        f"{OTHER}/a/../b",
        f"{OTHER}/a/../b/files",
        "file-upload",
    ),
    (
        "base-slashes",
        "an empty segment in the base URL",
        f"{OTHER}/a//b",
        f"{OTHER}/a//b/files",
        "file-upload",
    ),
]

# (name, comment, base URL, URL)
OUTSIDE = [
    # Hosts.
    ("host", "another host", BASE, "https://evil.example/backend-api/files"),
    ("host-below", "a host below", BASE, "https://evil.chatgpt.com/backend-api/files"),
    ("host-above", "a host above", SUPPORTED, "http://chatgpt.com/backend-api/files"),
    (
        "host-ends-alike",
        "a host that ends alike",
        BASE,
        "https://notchatgpt.com/backend-api/files",
    ),
    (
        "host-begins-alike",
        "a host that begins alike",
        BASE,
        "https://chatgpt.com.evil.example/backend-api/files",
    ),
    (
        "host-of-the-path",
        "the host is in the path",
        BASE,
        "https://evil.example/chatgpt.com/backend-api/files",
    ),
    (
        "host-dot",
        "a dot at the host's end",
        BASE,
        "https://chatgpt.com./backend-api/files",
    ),
    (
        "host-dot-base",
        "a dot at the base URL's",
        "https://chatgpt.com./x",
        "https://chatgpt.com/x/files",
    ),
    ("host-dots", "an empty label", BASE, "https://chatgpt..com/backend-api/files"),
    (
        "host-escaped",
        "an escaped dot in the host",
        BASE,
        "https://chatgpt%2Ecom/backend-api/files",
    ),
    (
        "host-escaped-slash",
        "an escaped slash after the host",
        BASE,
        "https://chatgpt.com%2Fbackend-api/files",
    ),
    (
        "host-wide",
        "letters that other parsers make ASCII",
        BASE,
        "https://chatgpt\uff0ecom/backend-api/files",
    ),
    (
        "host-kelvin",
        "a letter whose lower case is ASCII",
        OTHER,
        "https://bac\u212aend.example/files",
    ),
    (
        "host-soft-hyphen",
        "a character that other parsers drop",
        BASE,
        "https://chat\u00adgpt.com/backend-api/files",
    ),
    ("host-none", "no host", BASE, "https:///backend-api/files"),
    (
        "host-long",
        "a long host",
        BASE,
        f"https://{'a.' * 130}chatgpt.com/backend-api/files",
    ),
    ("ipv4", "another address", "http://192.0.2.1", "http://192.0.2.2/files"),
    (
        "ipv4-spelling",
        "an address is compared as it is written",
        "http://127.0.0.1",
        "http://127.1/files",
    ),
    ("ipv6", "another address", V6, "http://[2001:db8::2]:8080/x/files"),
    ("ipv6-port", "another port", V6, "http://[2001:db8::1]:8081/x/files"),
    (
        "ipv6-spelling",
        "an address is compared as it is written",
        V6,
        "http://[2001:db8:0::1]:8080/x/files",
    ),
    ("ipv6-without-brackets", "no brackets", "http://[::1]", "http://::1/files"),
    ("ipv6-open", "a bracket that nothing closes", "http://[::1]", "http://[::1/files"),
    ("ipv6-zone", "a zone", "http://[fe80::1]", "http://[fe80::1%25eth0]/files"),
    (
        "ipv6-name",
        "a name in brackets",
        BASE,
        "https://[chatgpt.com]/backend-api/files",
    ),
    # Ports.
    ("port", "another port", BASE, "https://chatgpt.com:8443/backend-api/files"),
    (
        "port-of-http",
        "the other scheme's port",
        BASE,
        "https://chatgpt.com:80/backend-api/files",
    ),
    (
        "port-of-https",
        "the other scheme's port",
        "http://localhost",
        "http://localhost:443/files",
    ),
    (
        "port-absent",
        "the base URL's port is missing",
        "http://localhost:8080",
        "http://localhost/files",
    ),
    (
        "port-longer",
        "a port that begins alike",
        "http://localhost:80",
        "http://localhost:8080/files",
    ),
    (
        "port-empty",
        "a colon without a port",
        BASE,
        "https://chatgpt.com:/backend-api/files",
    ),
    ("port-zero", "port 0", BASE, "https://chatgpt.com:0/backend-api/files"),
    (
        "port-too-high",
        "443 and 65536",
        BASE,
        "https://chatgpt.com:65979/backend-api/files",
    ),
    ("port-sign", "a sign", BASE, "https://chatgpt.com:+443/backend-api/files"),
    (
        "port-hexadecimal",
        "no decimal number",
        BASE,
        "https://chatgpt.com:0x1bb/backend-api/files",
    ),
    ("port-twice", "two ports", BASE, "https://chatgpt.com:443:443/backend-api/files"),
    # Schemes.
    ("http", "another scheme", BASE, "http://chatgpt.com/backend-api/files"),
    ("https", "another scheme", "http://localhost", "https://localhost/files"),
    (
        "http-443",
        "another scheme, and the same port",
        BASE,
        "http://chatgpt.com:443/backend-api/files",
    ),
    ("ws", "a scheme for something else", "http://localhost", "ws://localhost/files"),
    ("wss", "a scheme for something else", BASE, "wss://chatgpt.com/backend-api/files"),
    (
        "file",
        "a scheme for something else",
        BASE,
        "file://chatgpt.com/backend-api/files",
    ),
    (
        "scheme-longer",
        "a scheme that begins alike",
        BASE,
        "httpsx://chatgpt.com/backend-api/files",
    ),
    (
        "scheme-upper-case",
        "a scheme is sent in lower case",
        BASE,
        "HTTPS://chatgpt.com/backend-api/files",
    ),
    (
        "scheme-in-front",
        "two schemes",
        BASE,
        "blob:https://chatgpt.com/backend-api/files",
    ),
    # No absolute URL.
    ("empty", "no URL", BASE, ""),
    ("path-alone", "a path", BASE, "/backend-api/files"),
    ("path-relative", "a relative path", BASE, "files"),
    ("no-scheme", "a host and a path", BASE, "chatgpt.com/backend-api/files"),
    ("slashes-alone", "the scheme is missing", BASE, "//chatgpt.com/backend-api/files"),
    ("scheme-empty", "an empty scheme", BASE, "://chatgpt.com/backend-api/files"),
    ("scheme-alone", "no host, no path", BASE, "https://"),
    ("one-slash", "a slash is missing", BASE, "https:/chatgpt.com/backend-api/files"),
    ("no-slash", "both are missing", BASE, "https:chatgpt.com/backend-api/files"),
    (
        "slash-too-many",
        "a slash too many",
        BASE,
        "https:///chatgpt.com/backend-api/files",
    ),
    ("query-alone", "all of it is a query", BASE, f"?{BASE}/files"),
    ("fragment-alone", "all of it is a fragment", BASE, f"#{BASE}/files"),
    # User info.
    ("user", "a user", BASE, "https://user@chatgpt.com/backend-api/files"),
    (
        "user-password",
        "a user and a password",
        BASE,
        "https://user:password@chatgpt.com/backend-api/files",
    ),
    ("user-empty", "an empty user", BASE, "https://@chatgpt.com/backend-api/files"),
    (
        "user-host",
        "the host is the user",
        BASE,
        "https://chatgpt.com@evil.example/backend-api/files",
    ),
    (
        "user-host-port",
        "the host is the user",
        BASE,
        "https://chatgpt.com:443@evil.example/backend-api/files",
    ),
    (
        "user-two",
        "two of them",
        BASE,
        "https://evil.example@user@chatgpt.com/backend-api/files",
    ),
    (
        "user-base",
        "the same, and the base URL has none",
        OTHER,
        "https://a:b@backend.example/files",
    ),
    # Queries and fragments end what is in front of them.
    (
        "query-after-host",
        "the path is in a query",
        BASE,
        "https://chatgpt.com?/backend-api/files",
    ),
    (
        "query-before-user",
        "the host is in a query",
        BASE,
        "https://evil.example?@chatgpt.com/backend-api/files",
    ),
    (
        "fragment-before-user",
        "the host is in a fragment",
        BASE,
        "https://evil.example#@chatgpt.com/backend-api/files",
    ),
    ("query-url", "the URL is in a query", BASE, f"https://evil.example/?{BASE}/files"),
    (
        "query-in-path",
        "half of the path is in a query",
        BASE,
        "https://chatgpt.com/backend?-api/files",
    ),
    # What parsers read differently.
    (
        "backslash-before-user",
        "other parsers end the host there",
        BASE,
        "https://chatgpt.com\\@evil.example/backend-api/files",
    ),
    (
        "backslash-after-host",
        "other parsers take it for a slash",
        BASE,
        "https://chatgpt.com\\backend-api/files",
    ),
    (
        "backslashes-in-front",
        "other parsers take them for slashes",
        BASE,
        "https:\\\\chatgpt.com/backend-api/files",
    ),
    ("backslash-below", "other parsers take it for a slash", BASE, f"{BASE}\\files"),
    ("backslash-dots", "other parsers go upwards", BASE, f"{BASE}/..\\x"),
    ("backslash-at-the-end", "a backslash", BASE, f"{BASE}/files\\"),
    ("space-in-front", "other parsers drop it", BASE, f" {BASE}/files"),
    ("space-at-the-end", "other parsers drop it", BASE, f"{BASE}/files "),
    ("space-below", "a space", BASE, f"{BASE}/a b"),
    ("space-in-host", "a space", BASE, "https://chatgpt.com /backend-api/files"),
    ("tab-below", "other parsers drop it", BASE, f"{BASE}/.\t./x"),
    (
        "tab-in-scheme",
        "other parsers drop it",
        BASE,
        "ht\ttps://chatgpt.com/backend-api/files",
    ),
    (
        "line-feed-in-host",
        "other parsers drop it",
        BASE,
        "https://chatgpt\n.com/backend-api/files",
    ),
    ("line-feed-in-front", "other parsers drop it", BASE, f"\n{BASE}/files"),
    ("line-feed-at-the-end", "other parsers drop it", BASE, f"{BASE}/files\n"),
    ("header", "the end of a line, and a header", BASE, f"{BASE}/files\r\nX: y"),
    ("nul", "a NUL", BASE, f"{BASE}/files\0"),
    ("del", "a control character", BASE, f"{BASE}/files\x7f"),
    ("c1", "a control character beyond ASCII", BASE, f"{BASE}/files\x85"),
    ("non-ascii", "a character beyond ASCII", BASE, f"{BASE}/\u00e9"),
    ("no-break-space", "a character beyond ASCII", BASE, f"{BASE}/files\u00a0"),
    ("slash-look-alike", "a slash beyond ASCII", BASE, f"{BASE}\u2215files"),
    # Paths.
    ("root", "a path above", BASE, "https://chatgpt.com/"),
    ("no-path", "no path", BASE, "https://chatgpt.com"),
    ("beside", "a path beside", BASE, "https://chatgpt.com/files"),
    ("shorter", "a path that ends early", BASE, "https://chatgpt.com/backend-ap"),
    ("half", "a part of the base URL's path", f"{OTHER}/api/codex", f"{OTHER}/api"),
    ("longer", "a path that only begins alike", BASE, f"{BASE}x/files"),
    ("longer-hyphen", "a path that only begins alike", BASE, f"{BASE}-x"),
    ("longer-dot", "a path that only begins alike", BASE, f"{BASE}.json"),
    ("longer-semicolon", "a path that only begins alike", BASE, f"{BASE};x/files"),
    ("longer-dots", "a path that only begins alike", BASE, f"{BASE}../files"),
    (
        "case",
        "paths are compared as they are",
        BASE,
        "https://chatgpt.com/Backend-API/files",
    ),
    (
        "further-in",
        "the path stands further in",
        BASE,
        "https://chatgpt.com/x/backend-api/files",
    ),
    (
        "two-slashes",
        "an empty segment is one",
        BASE,
        "https://chatgpt.com//backend-api/files",
    ),
    (
        "dot-before",
        "a dot is not resolved",
        BASE,
        "https://chatgpt.com/./backend-api/files",
    ),
    (
        "dots-before",
        "two dots are not resolved",
        BASE,
        "https://chatgpt.com/x/../backend-api/files",
    ),
    ("slash-escaped", "an escaped slash is no slash", BASE, f"{BASE}%2Ffiles"),
    (
        "letter-escaped",
        "an escaped letter is another",
        BASE,
        "https://chatgpt.com/%62ackend-api/files",
    ),
    (
        "hyphen-escaped",
        "an escaped hyphen is another",
        BASE,
        "https://chatgpt.com/backend%2Dapi/files",
    ),
    ("query-escaped", "an escaped question mark begins no query", BASE, f"{BASE}%3Fx"),
    ("base-escaped", "the base URL's is escaped", f"{OTHER}/%62", f"{OTHER}/b/files"),
    (
        "base-escaped-case",
        "it is compared as it is",
        f"{OTHER}/%2d",
        f"{OTHER}/%2D/files",
    ),
    # What leads upwards.
    ("dots", "two dots", BASE, f"{BASE}/.."),
    ("dots-slash", "two dots, and a slash", BASE, f"{BASE}/../"),
    ("dots-path", "a path that leads out", BASE, f"{BASE}/../files"),
    ("dots-inside", "a path that leads back in", BASE, f"{BASE}/x/../files"),
    (
        "dots-back-in",
        "a path that leads out and in",
        BASE,
        f"{BASE}/../backend-api/files",
    ),
    ("dots-at-the-end", "two dots at the end", BASE, f"{BASE}/codex/.."),
    ("dots-many", "further up", BASE, f"{BASE}/codex/models/../../../x"),
    ("dots-after-slashes", "after an empty segment", BASE, f"{BASE}//../x"),
    ("dots-escaped", "both dots are escaped", BASE, f"{BASE}/%2e%2e/files"),
    ("dots-escaped-upper-case", "both dots are escaped", BASE, f"{BASE}/%2E%2E/files"),
    ("dots-escaped-mixed", "both dots are escaped", BASE, f"{BASE}/%2E%2e"),
    ("dots-first-escaped", "the first dot is escaped", BASE, f"{BASE}/%2E./files"),
    ("dots-second-escaped", "the second dot is escaped", BASE, f"{BASE}/.%2e/files"),
    ("dots-query", "two dots before a query", BASE, f"{BASE}/..?x"),
    ("dots-fragment", "two dots before a fragment", BASE, f"{BASE}/%2e.#x"),
    # Some servers decode a path before they resolve it, or see more than slashes in it.
    ("dots-slash-escaped", "before an escaped slash", BASE, f"{BASE}/..%2fx"),
    ("dots-slashes-escaped", "between escaped slashes", BASE, f"{BASE}/x%2F%2e.%2Fy"),
    ("dots-backslash-escaped", "before an escaped backslash", BASE, f"{BASE}/..%5Cx"),
    ("dots-semicolon", "before a semicolon", BASE, f"{BASE}/..;/x"),
    ("dots-semicolon-escaped", "before an escaped one", BASE, f"{BASE}/%2E%2E%3bx/y"),
    ("dots-three", "more dots than two", BASE, f"{BASE}/.../x"),
    ("dots-three-escaped", "more dots, escaped", BASE, f"{BASE}/x/%2e.%2e"),
    ("dots-escaped-twice", "escaped twice", BASE, f"{BASE}/%252e%252e/x"),
    ("dots-escaped-thrice", "escaped three times", BASE, f"{BASE}/%25252E./x"),
    ("dots-escaped-in-part", "an escape of an escape", BASE, f"{BASE}/%2%65%2%45/x"),
    ("slash-escaped-twice", "before a slash, twice escaped", BASE, f"{BASE}/..%252Fx"),
    (
        "escaped-four-times",
        "encoded more often than anybody does",
        BASE,
        f"{BASE}/%25252541",
    ),
    ("dots-space", "a space after them", BASE, f"{BASE}/..%20/x"),
    ("dots-space-before", "a space before them", BASE, f"{BASE}/%20../x"),
    ("dots-space-between", "a space between them", BASE, f"{BASE}/.%20./x"),
    ("dots-space-escaped", "and all escaped", BASE, f"{BASE}/%2e%2e%20"),
    ("dots-space-escaped-twice", "a space, twice escaped", BASE, f"{BASE}/..%2520/x"),
    ("dots-nul", "a NUL after them", BASE, f"{BASE}/..%00/x"),
    ("dots-tab", "a tab between them", BASE, f"{BASE}/.%09./x"),
    ("dots-line-feed", "a line feed before them", BASE, f"{BASE}/%0a%2e./x"),
    ("dots-return", "a carriage return at the end", BASE, f"{BASE}/x/..%0D"),
    ("dots-delete", "a delete character", BASE, f"{BASE}/..%7F/x"),
    ("dots-overlong", "a dot in two bytes", BASE, f"{BASE}/%c0%ae%c0%ae/x"),
    ("dots-overlong-3", "a dot in three bytes", BASE, f"{BASE}/.%E0%80%AE/x"),
    ("dots-overlong-4", "a dot in four bytes", BASE, f"{BASE}/%f0%80%80%ae./x"),
    ("slash-overlong", "a slash in two bytes", BASE, f"{BASE}/x/..%c0%af../y"),
    ("overlong-alone", "what no character begins with", BASE, f"{BASE}/%c1"),
    ("overlong-cut", "and nothing after it", BASE, f"{BASE}/%e0"),
    ("overlong-3-last", "the last of three bytes", BASE, f"{BASE}/%e0%9f%bf/x"),
    ("overlong-4-last", "the last of four bytes", BASE, f"{BASE}/%f0%8f%bf%bf/x"),
    ("overlong-3-after", "after a character", BASE, f"{BASE}/%c3%a9%e0%9f%bf"),
    ("overlong-4-after", "after a character", BASE, f"{BASE}/%c3%a9%f0%8f%bf%bf"),
    ("overlong-4-cut", "and nothing after it", BASE, f"{BASE}/%f0"),
    ("dots-no-path", "nothing is above, but who knows", OTHER, f"{OTHER}/../files"),
]

# (name, comment, base URL)
NO_BASES = [
    ("empty", "no URL", ""),
    ("path", "a path", "/backend-api"),
    ("no-scheme", "a host and a path", "chatgpt.com/backend-api"),
    ("slashes-alone", "the scheme is missing", "//chatgpt.com/backend-api"),
    ("scheme-alone", "no host", "https://"),
    ("one-slash", "a slash is missing", "https:/chatgpt.com/backend-api"),
    ("no-host", "no host, but a path", "https:///backend-api"),
    ("wss", "a scheme for something else", "wss://chatgpt.com/backend-api"),
    ("upper-case", "a scheme is in lower case", "HTTPS://chatgpt.com/backend-api"),
    ("user", "a user", "https://user@chatgpt.com/backend-api"),
    ("query", "a query", "https://chatgpt.com/backend-api?x"),
    ("query-empty", "an empty query", "https://chatgpt.com/backend-api?"),
    ("fragment", "a fragment", "https://chatgpt.com/backend-api#x"),
    ("backslash", "a backslash", "https://chatgpt.com\\backend-api"),
    ("space", "a space", "https://chatgpt.com/backend-api "),
    ("tab", "a control character", "https://chatgpt.com/\tbackend-api"),
    ("non-ascii", "a character beyond ASCII", "https://chatgpt.com/\u00e9"),
    ("bracket", "a character that a base URL does not have", "https://chatgpt.com/{x}"),
    ("port-zero", "port 0", "https://chatgpt.com:0/backend-api"),
    ("port-empty", "a colon without a port", "https://chatgpt.com:/backend-api"),
    ("ipv6-without-brackets", "no brackets", "http://::1/x"),
]


def scope(surface):
    """Return the scope of a surface."""
    if surface in THREAD:
        return "thread"
    return "bearer-only" if surface in BEARER_ONLY else "background"


def vectors():
    """Return the vectors of surfaces.json."""
    return [*lookup(), *match(), *locate()]


def lookup():
    """Yield the vectors of surface.lookup."""
    for surface in [*BACKGROUND, *THREAD, *BEARER_ONLY, "background"]:
        method, path = TYPICAL[surface]
        ok = {"surface": surface, "scope": scope(surface), "method": method}
        yield call(
            f"lookup-{surface}",
            f"the surface {surface}",
            TABLE,
            "surface.lookup",
            {"surface": surface},
            ok=ok | {"path": path} if path else ok,
        )
    for name, comment, text in NO_SURFACES:
        yield call(
            f"lookup-{name}-refused",
            comment,
            NAMES,
            "surface.lookup",
            {"surface": text},
            error="unknown_surface",
        )


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


def locate():
    """Yield the vectors of surface.locate."""

    def vector(name, comment, source, base, url, surface=None):
        assert below(base, url) == (surface is not None), name
        ok = {"inside": surface is not None}
        if surface:
            ok |= {"surface": surface, "scope": scope(surface)}
        params = {"base_url": base, "url": url}
        return call(f"locate-{name}", comment, source, "surface.locate", params, ok=ok)

    for path, surface in LISTED:
        name = path.strip("/").replace("/", "-")
        comment = f"a path of {surface}"
        yield vector(f"path-{name}", comment, TABLE, BASE, BASE + path, surface)
    for line, surface in CAPTURED.items():
        url = SUPPORTED.removesuffix("/backend-api") + captured.ENABLED[line]["path"]
        comment, source = "a call of the real client", capture("enabled.jsonl", line)
        yield vector(f"captured-{line}", comment, source, SUPPORTED, url, surface)
    for name, comment, base, url, surface in INSIDE:
        yield vector(f"inside-{name}", comment, BELOW, base, url, surface)
    for name, comment, base, url in OUTSIDE:
        yield vector(f"outside-{name}", comment, BELOW, base, url)
    for name, comment, base in NO_BASES:
        # The URL does not matter.
        for suffix, url in [("", f"{BASE}/files"), ("-itself", base)]:
            assert parse_base(base) is None, name
            yield call(
                f"locate-base-{name}{suffix}-refused",
                comment,
                STRICT,
                "surface.locate",
                {"base_url": base, "url": url},
                error="invalid_base_url",
            )


def parse(url):
    """Return the scheme, host, port and path of a URL that has no more, or None."""
    if not re.fullmatch(r"https?://[!-\[\]-~]+", url):
        return None
    try:
        split = urllib.parse.urlsplit(url)
        host, port = split.hostname or "", split.port
        if split.netloc.startswith("["):
            ipaddress.IPv6Address(host)
            known = "%" not in host
        else:
            known = re.fullmatch(r"([a-z0-9_-]+\.)*[a-z0-9_-]+\.?", host)
    except ValueError:
        return None
    if not known or len(host) > 253 or port == 0:
        return None
    if "@" in split.netloc or split.netloc.endswith(":"):
        return None
    default = {"http": 80, "https": 443}[split.scheme]
    return split.scheme, host, port or default, split.path


def parse_base(url):
    """Return the same for a base URL."""
    return None if set(url) & set('?#@"<>^`{|}') else parse(url)


def below(base, url):
    """Say whether a URL is below a base URL."""
    *origin, root = parse_base(base)
    parsed = parse(re.split("[?#]", url, maxsplit=1)[0])
    if parsed is None or list(parsed[:3]) != origin:
        return False
    path = parsed[3]
    if path != root and not path.startswith(f"{root}/"):
        return False
    return not leads_up(path[len(root) :].encode())


def leads_up(path, again=4):
    """Say whether some server could find a segment in a path that leads upwards."""
    if again == 0 or re.search(
        rb"[\xc0\xc1]|\xe0(?![\xa0-\xff])|\xf0(?![\x90-\xff])", path
    ):
        return True
    for segment in re.split(rb"[/;\\]", path):
        if re.fullmatch(rb"\.\.+", re.sub(rb"[\0-\x20\x7f]", b"", segment)):
            return True
    decoded = urllib.parse.unquote_to_bytes(path)
    return decoded != path and leads_up(decoded, again - 1)
