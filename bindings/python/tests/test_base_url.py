"""What is below a base URL, whatever the one reader or the other makes of it."""

from __future__ import annotations

import httpx
import pytest

from agentassert import AgentAssertError
from agentassert.base_url import check_secure, checked_base_url, is_below, is_host_of, is_supported_origin
from agentassert.decision import is_supported_host

BASE = "https://chatgpt.com/backend-api"

ABOVE = [
    *("/..", "/../x", "/x/../../y", "/..?x", "/..#x"),
    # Decoded, as often as it takes.
    *("/%2e%2e/x", "/.%2E/x", "/%252e%252e/x", "/%25252525252e./x", "/%2525252525252525252525252e/x"),
    *("/%2%65%2e/x", "/%25%32%65./x"),
    # Separators that are none for others.
    *("/..%2fx", "/x%5c..%5cy", "/..%255cx", "/..;/x", "/..;a=b/x", "/x;..", "/%2e%2e%3bx"),
    # What some servers leave out.
    *("/..%20/x", "/%20../x", "/.%20./x", "/%2e%2e%00/x", "/..%00x/../y", "/.%09./x", "/..%0a/x"),
    *("/..%0d%0a", "/..%7f/x", "/..%2520/x", "/.%2500./x", "/%2%00e%2e/x"),
    # More dots than two.
    *("/.../x", "/..../x", "/%2e%2e%2e/x%2E", "/%2e%2e%2e/x%2e%2E", "/...%20"),
    # A dot, a slash and a backslash in more bytes than they take.
    *("/%c0%ae%c0%ae/x", "/%c0%ae./x", "/..%c0%afx", "/..%c1%9cx", "/%e0%80%ae%e0%80%ae/x"),
    *("/%f0%80%80%ae./x", "/%25c0%25ae./x"),
]
"""Paths that lead upwards for some server or other."""

BELOW = [
    *("", "/", "//", "/.", "/./x", "/%2e/x", "/a..b", "/..a/b..", "/%2e%2ea", "/a%20b", "/%20/x", "/100%"),
    *("/%zz", "/%2", "/a%252fb", "/a;b=..c", "/x?../../y", "/x?a=%2e%2e/", "/x#/../y", "/%c3%a9"),
    *("/%e0%a4%85", "/%f0%9f%99%82", "/%ff", "/@me/a:b"),
]
"""Paths that look alike, and stay where they are."""

ELSEWHERE = [
    ("another scheme", BASE, "http://chatgpt.com/backend-api/x"),
    ("another host", BASE, "https://chatgpt.com.evil.example/backend-api/x"),
    ("a longer host", BASE, "https://xchatgpt.com/backend-api/x"),
    ("another port", BASE, "https://chatgpt.com:444/backend-api/x"),
    ("no border of segments", BASE, "https://chatgpt.com/backend-apix"),
    ("another case", BASE, "https://chatgpt.com/Backend-api/x"),
    ("a path that is only the same decoded", BASE, "https://chatgpt.com/backend%2dapi/x"),
    ("user info", BASE, "https://user@chatgpt.com/backend-api/x"),
    ("a password", BASE, "https://user:password@chatgpt.com/backend-api/x"),
    ("no user, and yet user info", BASE, "https://@chatgpt.com/backend-api/x"),
    ("a host that is the user", BASE, "https://chatgpt.com@evil.example/backend-api/x"),
    ("a backslash", BASE, "https://chatgpt.com\\backend-api/x"),
    ("a backslash in the path", BASE, f"{BASE}/x\\y"),
    ("a space", BASE, f"{BASE}/x y"),
    ("a tab", BASE, f"{BASE}/.\t./x"),
    ("a line's end", BASE, f"{BASE}/x\r\nHost: evil.example"),
    ("a line's end at the end", BASE, f"{BASE}/x\n"),
    ("a line's end after the base", BASE, f"{BASE}\n"),
    ("a zero", BASE, f"{BASE}/x\0"),
    ("DEL", BASE, f"{BASE}/x\x7f"),
    ("beyond ASCII", BASE, f"{BASE}/é"),
    ("a digit beyond ASCII", BASE, "https://chatgpt.com:44\u0663/backend-api/x"),
    ("a letter that is small beyond ASCII", BASE, "https://\u212aatgpt.com/backend-api/x"),
    ("beyond the basic plane", BASE, f"{BASE}/🙂"),
    ("half a surrogate pair", BASE, f"{BASE}/\ud800"),
    ("no scheme", BASE, "//chatgpt.com/backend-api/x"),
    ("no host", BASE, "https:///backend-api/x"),
    ("another scheme's form", BASE, "wss://chatgpt.com/backend-api/x"),
    ("nothing", BASE, ""),
    ("a base URL that is empty", "", ""),
    ("a base URL with a query", f"{BASE}?x", f"{BASE}?x"),
    ("a base URL with user info", "https://u@chatgpt.com", "https://u@chatgpt.com/x"),
    ("a base URL without host", "https://", "https:///x"),
    ("a port that is none", "https://chatgpt.com:0", "https://chatgpt.com:0/x"),
    ("a port that is too large", "https://chatgpt.com:65536", "https://chatgpt.com:65536/x"),
    ("a port that is much too large", BASE, f"https://chatgpt.com:{'4' * 5000}/backend-api/x"),
]


@pytest.mark.parametrize("path", ABOVE)
def test_above(path: str) -> None:
    assert not is_below(BASE, BASE + path)


@pytest.mark.parametrize("path", BELOW)
def test_below(path: str) -> None:
    assert is_below(BASE, BASE + path)


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://ChatGPT.com/x", "https://chatgpt.com:443/x/y"),
        ("http://localhost:80", "http://localhost/x"),
        ("http://[::1]:8080", "http://[::1]:8080/x"),
    ],
)
def test_below_in_another_form(base: str, url: str) -> None:
    assert is_below(base, url)


@pytest.mark.parametrize(("base", "url"), [pytest.param(*case[1:], id=case[0]) for case in ELSEWHERE])
def test_elsewhere(base: str, url: str) -> None:
    assert not is_below(base, url)


@pytest.mark.parametrize("path", [path for path in BELOW if "#" not in path])
def test_whatever_is_below_is_where_the_client_goes_too(path: str) -> None:
    sent = str(httpx.URL(BASE + path))
    assert sent.startswith(BASE)
    assert is_below(BASE, sent)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://chatgpt.com/backend-api", ""),
        ("http://localhost:8080/x", ""),
        ("http://LOCALHOST", ""),
        ("http://127.0.0.1", ""),
        ("http://127.1.2.3:80", ""),
        ("http://[::1]:8080", ""),
        ("http://[0:0:0:0:0:0:0:1]", ""),
        ("http://[::ffff:127.0.0.1]", ""),
        ("http://chatgpt.com", "insecure_base_url"),
        ("http://192.168.0.1", "insecure_base_url"),
        ("http://128.0.0.1", "insecure_base_url"),
        ("http://127.0.0.1.evil.example", "insecure_base_url"),
        ("http://127.0.0.256", "insecure_base_url"),
        ("http://localhost.evil.example", "insecure_base_url"),
        ("http://evil.localhost", "insecure_base_url"),
        ("http://evil.example/127.0.0.1", "insecure_base_url"),
        ("http://[::2]", "insecure_base_url"),
        ("http://0.0.0.0", "insecure_base_url"),
        ("http://127.0.0.1@evil.example", "invalid_base_url"),
        ("ws://localhost", "invalid_base_url"),
        ("http://", "invalid_base_url"),
        ("/backend-api", "invalid_base_url"),
    ],
)
def test_http_is_for_this_machine(url: str, code: str) -> None:
    if code == "":
        check_secure("base_url", url)
        return
    with pytest.raises(AgentAssertError) as caught:
        check_secure("base_url", url)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("configured", "normalized", "code"),
    [
        ("https://chatgpt.com", "https://chatgpt.com/backend-api", ""),
        ("https://ChatGPT.com:443/codex", "https://ChatGPT.com:443", ""),
        ("https://chatgpt.com", "https://evil.example/backend-api", "policy_violation"),
        ("https://chatgpt.com", "http://chatgpt.com/backend-api", "policy_violation"),
        ("https://chatgpt.com", "https://chatgpt.com:444/backend-api", "policy_violation"),
        ("https://chatgpt.com", "https://chatgpt.com@evil.example/", "policy_violation"),
        ("https://chatgpt.com", "https://chatgpt.com/other", "policy_violation"),
        ("https://chatgpt.com", "no URL", "policy_violation"),
        ("no URL", "https://chatgpt.com", "invalid_base_url"),
    ],
)
def test_a_normalized_base_url(configured: str, normalized: str, code: str) -> None:
    if code == "":
        assert checked_base_url(configured, normalized) == normalized
        return
    with pytest.raises(AgentAssertError) as caught:
        checked_base_url(configured, normalized)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("url", "header", "want"),
    [
        ("https://chatgpt.com/x", None, True),
        ("https://chatgpt.com/x?y", "chatgpt.com", True),
        ("https://chatgpt.com/x", "ChatGPT.com:443", True),
        ("http://localhost/x", "localhost:80", True),
        ("http://localhost:8080/x", "localhost:8080", True),
        ("http://[::1]:8080/x", "[::1]:8080", True),
        ("https://chatgpt.com/x", "", False),
        ("https://chatgpt.com/x", "evil.example", False),
        ("https://chatgpt.com/x", "chatgpt.com:80", False),
        ("https://chatgpt.com/x", "chatgpt.com, evil.example", False),
        ("https://chatgpt.com/x", "chatgpt.com.", False),
        ("https://chatgpt.com/x", "user@chatgpt.com", False),
        ("http://localhost:8080/x", "localhost", False),
        ("no URL", None, False),
    ],
)
def test_a_host_header(url: str, header: str | None, want: bool) -> None:
    assert is_host_of(url, header) is want


@pytest.mark.parametrize(
    ("host", "trusted", "want"),
    [
        ("chatgpt.com", [], True),
        ("a.chatgpt.com", [], True),
        ("xchatgpt.com", [], False),
        ("chatgpt.com.", [], False),
        ("example.org", ["Example.org"], True),
        ("a.example.org", ["example.org"], False),
        ("[::1]", ["0:0:0:0:0:0:0:1"], True),
        ("[::1]", ["[::1]"], True),
        ("[::1]", ["::2"], False),
        ("127.0.0.1", ["127.0.0.1"], True),
        ("example.org", ["example.org/x", "example.org:444", "x@example.org", ""], False),
    ],
)
def test_a_supported_host(host: str, trusted: list[str], want: bool) -> None:
    assert is_supported_host(host, trusted) is want


@pytest.mark.parametrize(
    ("origin", "want"),
    [
        ("https://eu.chatgpt.com", True),
        ("https://EU.chatgpt.com:443", True),
        ("https://example.org:8443", True),
        ("http://eu.chatgpt.com", False),
        ("https://eu.chatgpt.com/", False),
        ("https://eu.chatgpt.com?x", False),
        ("https://eu.chatgpt.com#", False),
        ("https://eu.chatgpt.com@evil.example", False),
        ("https://evil.example", False),
        ("https://eu.chatgpt.com\n", False),
        ("", False),
    ],
)
def test_a_supported_origin(origin: str, want: bool) -> None:
    assert is_supported_origin(origin, ["example.org"]) is want
