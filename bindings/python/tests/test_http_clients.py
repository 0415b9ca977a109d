"""Which calls of HTTP clients are authorized, by what, and where that goes: the same for all of them."""

from __future__ import annotations

import datetime
import gzip
import importlib.util
import ipaddress
import json
import ssl
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from http_backend import (
    API_KEY,
    AUTH_API_PATH,
    TOKEN,
    Answer,
    Backend,
    Seen,
    Server,
    json_answer,
    redirect,
    running,
)
from http_clients import CLIENTS, CREDENTIALS, Client, Request, Response
from verification import core

from agentassert import AgentAssertError

Open = Callable[..., Client]

DUAL = {
    "header_mode": "dual_header",
    "installation_id": "aa88e197-a6dc-457d-a525-2192aadf9048",
    "harness": "codex",
    "role": "orchestrator",
}


@pytest.fixture
def backend() -> Generator[Backend]:
    server = Backend()
    with running(server):
        yield server


@pytest.fixture
def outside() -> Generator[Server]:
    """A server that is not the backend."""
    server = Server()
    with running(server):
        yield server


def _library(name: str) -> str:
    return name.partition(" ")[0]


@pytest.fixture(
    params=[
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                not importlib.util.find_spec(_library(name)), reason=f"there is no {_library(name)}"
            ),
        )
        for name in CLIENTS
    ]
)
def open_client(
    request: pytest.FixtureRequest, backend: Backend, certificate: Certificate
) -> Generator[Open]:
    """Opens a client of each library, whose calls to the backend a manager authorizes."""
    opened: list[Client] = []

    def open_one(**options: Any) -> Client:
        options = {
            "core": core(),
            "base_url": backend.base_url,
            "trusted_hosts": ["127.0.0.1", "localhost"],
            **options,
        }
        client = CLIENTS[request.param](certificate.client, options)
        opened.append(client)
        return client

    yield open_one
    for client in opened:
        client.close()


class Certificate:
    """What servers on this machine, and their clients, use for TLS."""

    def __init__(self, folder: Path) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        now = datetime.datetime.now(datetime.timezone.utc)
        day = datetime.timedelta(days=1)
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = (
            x509.CertificateBuilder(
                name, name, key.public_key(), x509.random_serial_number(), now - day, now + day
            )
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        path = folder / "certificate.pem"
        path.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(path)
        self.client = ssl.create_default_context(cafile=path)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("certificate"))


def carries_nothing(seen: Seen) -> None:
    """Check that a request has nothing of the manager's."""
    for name in (
        "Authorization",
        "X-OpenAI-Agent-Assertion",
        "ChatGPT-Account-ID",
        "X-OpenAI-Fedramp",
        "X-OpenAI-Account-Routing-Override",
    ):
        assert seen.header(name) is None, f"{seen.path} was sent {name}"


def is_hidden(*responses: Response) -> None:
    """Check that what a log would have shows no secret."""
    for response in responses:
        assert "AgentAssertion" not in response.shown
        assert TOKEN not in response.shown


# What calls carry.


def test_calls_carry_an_assertion(backend: Backend, open_client: Open) -> None:
    stale = {
        "Authorization": "Bearer of-somebody-else",
        "X-OpenAI-Agent-Assertion": "1.stale",
        "chatgpt-account-id": "stale",
        "X-OpenAI-Fedramp": "true",
        "X-OpenAI-Account-Routing-Override": "stale",
        "X-Own": "1",
    }
    client = open_client()
    url = backend.base_url + "/codex/models?x=1"
    [response] = client.send(Request(url, headers=stale))
    assert response.json() == {"scheme": "AgentAssertion", "task": "task-1", "instance": ""}
    [seen] = backend.calls
    assert (seen.method, seen.path, seen.header("X-Own")) == ("GET", "/backend-api/codex/models?x=1", "1")
    assert seen.header("ChatGPT-Account-ID") == "acct-1"
    assert seen.header("X-OpenAI-Fedramp") is None
    assert seen.header("X-OpenAI-Agent-Assertion") is None
    assert seen.header("X-OpenAI-Account-Routing-Override") is None
    is_hidden(response)


def test_a_body_is_sent(backend: Backend, open_client: Open) -> None:
    client = open_client()
    for as_stream in (False, True):
        request = Request(backend.base_url + "/codex/x", "POST", body=b'{"a":1}', as_stream=as_stream)
        [response] = client.send(request)
        assert response.status == 200
        assert (backend.calls[-1].method, backend.calls[-1].body) == ("POST", b'{"a":1}')


def test_threads_have_tasks_of_their_own(backend: Backend, open_client: Open) -> None:
    client = open_client()
    responses = backend.base_url + "/codex/responses"
    models = backend.base_url + "/codex/models"
    said = client.send(
        Request(responses, "POST", body=b"{}", thread="one"),
        Request(responses, "POST", body=b"{}", thread="two"),
        Request(models, thread="one"),
        Request(models),
    )
    tasks = [response.json()["task"] for response in said]
    assert len(set(tasks)) == 3
    assert tasks[2] == tasks[3]


def test_a_surface_can_be_named(backend: Backend, open_client: Open) -> None:
    client = open_client()
    url = backend.base_url + "/codex/responses"
    said = client.send(
        Request(url, surface="models"),
        Request(url, surface="bootstrap"),
        Request(url, surface="safety-monitor", thread="one"),
    )
    assert [response.json()["scheme"] for response in said] == ["AgentAssertion", "Bearer", "AgentAssertion"]


def test_a_turn_without_a_thread_is_not_sent(backend: Backend, open_client: Open) -> None:
    client = open_client()
    with pytest.raises(AgentAssertError, match=r"thread\(id\)") as caught:
        client.send(Request(backend.base_url + "/codex/responses", "POST", body=b"{}"))
    assert caught.value.code == "thread_surface"
    assert backend.seen == []


def test_a_surface_that_there_is_not(backend: Backend, open_client: Open) -> None:
    client = open_client()
    with pytest.raises(AgentAssertError) as caught:
        client.send(Request(backend.base_url + "/codex/models", surface="nonsense"))
    assert caught.value.code == "unknown_surface"


def test_a_manager_that_is_closed(backend: Backend, open_client: Open) -> None:
    client = open_client()
    client.close_manager()
    with pytest.raises(AgentAssertError) as caught:
        client.send(Request(backend.base_url + "/codex/models"))
    assert caught.value.code == "closed"
    assert backend.calls == []


def test_a_turn_that_cannot_be_authorized_is_not_sent(backend: Backend, open_client: Open) -> None:
    backend.respond = lambda seen: Answer(403) if seen.path.endswith("/register") else None
    client = open_client()
    with pytest.raises(AgentAssertError) as caught:
        client.send(Request(backend.base_url + "/codex/responses", "POST", body=b"{}", thread="one"))
    assert caught.value.code == "thread_failed"
    assert backend.calls == []


def test_a_background_call_falls_back_to_the_token(backend: Backend, open_client: Open) -> None:
    backend.respond = lambda seen: Answer(403) if seen.path.endswith("/register") else None
    [response] = open_client().send(Request(backend.base_url + "/codex/models"))
    assert response.json() == {"scheme": "Bearer"}
    assert backend.calls[0].header("Authorization") == f"Bearer {TOKEN}"
    is_hidden(response)


def test_an_api_keys_authorization_stays(backend: Backend, open_client: Open) -> None:
    client = open_client(credentials={"kind": "api-key"})
    headers = {"Authorization": f"Bearer {API_KEY}", "ChatGPT-Account-ID": "stale"}
    client.send(Request(backend.base_url + "/codex/models", headers=headers))
    [seen] = backend.calls
    assert seen.header("Authorization") == f"Bearer {API_KEY}"
    assert seen.header("ChatGPT-Account-ID") is None


def test_fedramp_accounts_are_marked(backend: Backend, open_client: Open) -> None:
    client = open_client(credentials={**CREDENTIALS, "fedramp": True})
    client.send(Request(backend.base_url + "/codex/models"))
    assert backend.calls[0].header("X-OpenAI-Fedramp") == "true"


@pytest.mark.parametrize("mode", ["dual_header", "assertion_only"])
def test_each_call_has_an_assertion_of_its_own_from_an_instance(
    mode: str, backend: Backend, open_client: Open
) -> None:
    client = open_client(**instances(backend, mode))
    # The backend takes the second use of an assertion for a replay.
    said = client.send(*[Request(backend.base_url + "/codex/models")] * 5)
    assert [response.status for response in said] == [200] * 5
    assert {response.json()["instance"] for response in said} == {"instance-1"}
    schemes = {"Bearer"} if mode == "dual_header" else {"AgentAssertion"}
    assert {seen.scheme for seen in backend.calls} == schemes
    is_hidden(*said)


def instances(backend: Backend, mode: str = "dual_header") -> dict[str, Any]:
    return {
        "profile": "instances",
        "instance": {**DUAL, "header_mode": mode},
        "auth_api_url": backend.origin + AUTH_API_PATH,
    }


# Where it goes.


@pytest.mark.parametrize(
    "url",
    [
        "{outside}/backend-api/codex/models",
        "{backend}/",
        "{backend}/api/models",
        "{backend}/backend-apis/models",
        "{backend}/backend-api/%2E%2e/admin",
        "{backend}/backend-api/..%2fadmin",
    ],
)
def test_other_calls_are_passed_on(url: str, backend: Backend, outside: Server, open_client: Open) -> None:
    own = {"Authorization": "Bearer own", "ChatGPT-Account-ID": "own"}
    client = open_client()
    client.send(Request(url.format(backend=backend.origin, outside=outside.origin), headers=own))
    client.send(Request(url.format(backend=backend.origin, outside=outside.origin)))
    first, second = [*backend.seen, *outside.seen]
    assert (first.header("Authorization"), first.header("ChatGPT-Account-ID")) == ("Bearer own", "own")
    carries_nothing(second)


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [("127.0.0.1:{port}", True), ("evil.example", False), ("127.0.0.1", False), ("127.0.0.1:1", False)],
)
def test_calls_to_another_host_are_not_authorized(
    host: str, is_ours: bool, backend: Backend, open_client: Open
) -> None:
    """Some servers go by the Host header field alone."""
    url = backend.base_url + "/codex/models"
    open_client().send(Request(url, headers={"Host": host.format(port=backend.port)}))
    [seen] = backend.calls
    assert (seen.header("Authorization") is not None) == is_ours


@pytest.mark.parametrize("status", [301, 308])
@pytest.mark.parametrize("profile", ["biscuit", "instances", "bearer"])
def test_a_redirect_elsewhere_carries_nothing(
    status: int, profile: str, backend: Backend, outside: Server, open_client: Open
) -> None:
    backend.respond = lambda seen: (
        redirect(outside.origin + "/backend-api/x", status) if seen.path.endswith("/models") else None
    )
    options = {"instances": instances(backend), "bearer": {"agent_identity": False}}.get(profile, {})
    client = open_client(**options, credentials={**CREDENTIALS, "fedramp": True})
    [response] = client.send(Request(backend.base_url + "/codex/models", "POST", body=b"{}"))
    assert response.status == 200
    [seen] = outside.seen
    carries_nothing(seen)
    assert backend.calls[0].header("Authorization") is not None
    is_hidden(response)


def test_a_redirect_to_another_path_of_the_server_carries_nothing(
    backend: Backend, open_client: Open
) -> None:
    backend.respond = lambda seen: redirect("/elsewhere") if seen.path.endswith("/models") else None
    open_client().send(Request(backend.base_url + "/codex/models"))
    first, second = backend.calls
    assert first.scheme == "AgentAssertion"
    assert second.path == "/elsewhere"
    carries_nothing(second)


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_within_the_base_url_is_authorized(
    status: int, backend: Backend, open_client: Open
) -> None:
    def respond(seen: Seen) -> Answer | None:
        if seen.path.endswith("/first"):
            return redirect(backend.base_url + "/codex/second", status)
        if seen.path.endswith("/second"):
            return redirect("third", status)
        # Some clients authorize it before it is refused, others then.
        return Answer(401) if seen.path.endswith("/third") and not seen.scheme else None

    backend.respond = respond
    request = Request(backend.base_url + "/codex/first", "POST", body=b'{"a":1}')
    [response] = open_client().send(request)
    assert response.json()["scheme"] == "AgentAssertion"
    last = backend.calls[-1]
    method, body = ("GET", b"") if status == 302 else ("POST", b'{"a":1}')
    assert (last.path, last.method, last.body) == ("/backend-api/codex/third", method, body)
    is_hidden(response)


@pytest.mark.parametrize("follow", [True, False])
@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{port}/backend-api/codex/models",
        "HTTP://127.0.0.1:{port}/backend-api/codex/models#fragment",
        "http://user:password@127.0.0.1:{port}/backend-api/codex/models",
        "//127.0.0.1:{port}/backend-api/codex/models",
        "http://127.0.0.1:{port}/backend-api/codex/x/../models",
        "http://127.0.0.1:{port}/backend-api/codex/models?x=%7e&y=a b",
    ],
)
def test_a_redirect_from_outside_is_not_authorized(
    location: str, follow: bool, backend: Backend, outside: Server, open_client: Open
) -> None:
    """A site that is not the backend cannot spend the agent."""
    outside.respond = lambda _: redirect(location.format(port=backend.port))
    backend.respond = lambda seen: None if seen.scheme == "AgentAssertion" else Answer(401)
    client = open_client()
    [response] = client.send(Request(outside.origin + "/", follow=follow))
    assert response.status == (401 if follow else 307)
    assert len(backend.calls) == int(follow)
    for seen in backend.calls:
        assert seen.scheme in {"", "Basic"}  # of the user in the URL, as some clients have it
        assert seen.header("ChatGPT-Account-ID") is None


def test_a_redirect_that_comes_back_is_not_authorized(
    backend: Backend, outside: Server, open_client: Open
) -> None:
    backend.respond = lambda seen: (
        redirect(outside.origin + "/")
        if seen.path.endswith("/first")
        else Answer(401)
        if seen.path.endswith("/second") and not seen.scheme
        else None
    )
    outside.respond = lambda _: redirect(backend.base_url + "/codex/second")
    [response] = open_client().send(Request(backend.base_url + "/codex/first"))
    assert response.status == 401
    first, second = backend.calls
    assert first.scheme == "AgentAssertion"
    carries_nothing(second)


def test_calls_after_a_redirect_from_outside_are_authorized(
    backend: Backend, outside: Server, open_client: Open
) -> None:
    outside.respond = lambda _: redirect(backend.base_url + "/codex/x")
    client = open_client()
    inside = Request(backend.base_url + "/codex/models")
    *_, last = client.send(Request(outside.origin + "/", follow=False), inside)
    assert last.json()["scheme"] == "AgentAssertion"


# What becomes of a 401.


def revoke(backend: Backend, client: Client, request: Request) -> None:
    """Have the task, or the instance, that a call carries be accepted no more."""
    [response] = client.send(request)
    said = response.json()
    backend.revoked.add(said["task"] or said["instance"])
    backend.seen.clear()


@pytest.mark.parametrize("thread", [None, "one"])
@pytest.mark.parametrize("profile", ["biscuit", "instances"])
def test_what_is_rejected_is_replaced(
    thread: str | None, profile: str, backend: Backend, open_client: Open
) -> None:
    client = open_client(**(instances(backend) if profile == "instances" else {}))
    path = "/codex/responses" if thread else "/codex/models"
    request = Request(backend.base_url + path, "POST", body=b'{"a":1}', thread=thread)
    revoke(backend, client, request)
    [response] = client.send(request)
    assert response.status == 200
    assert (response.json()["task"] or response.json()["instance"]) not in backend.revoked
    assert [seen.body for seen in backend.calls] == [b'{"a":1}'] * 2
    is_hidden(response)
    client.send(request)
    assert len(backend.calls) == 3


def test_the_second_401_is_the_callers(backend: Backend, open_client: Open) -> None:
    client = open_client()
    backend.respond = lambda seen: (
        json_answer({"own": "body"}, 401) if seen.path.endswith("/models") else None
    )
    [response] = client.send(Request(backend.base_url + "/codex/models"))
    assert (response.status, response.json()) == (401, {"own": "body"})
    assert len(backend.calls) == 2
    assert len({seen.header("Authorization") for seen in backend.calls}) == 2
    is_hidden(response)


def test_a_body_that_cannot_be_sent_again(backend: Backend, open_client: Open) -> None:
    client = open_client()
    url = backend.base_url + "/codex/x"
    revoke(backend, client, Request(url))
    request = Request(url, "POST", body=b"{}", as_stream=True)
    first, second = client.send(request, request)
    assert (first.status, first.json()) == (401, {"error": {"code": "task_expired"}})
    assert second.status == 200
    assert len(backend.calls) == 2


def test_a_401_to_a_token_is_the_callers(backend: Backend, open_client: Open) -> None:
    backend.respond = lambda _: Answer(401)
    client = open_client(agent_identity=False)
    [response] = client.send(Request(backend.base_url + "/codex/models"))
    assert response.status == 401
    assert len(backend.seen) == 1


def test_a_turn_whose_task_cannot_be_replaced_has_the_401(backend: Backend, open_client: Open) -> None:
    client = open_client()
    request = Request(backend.base_url + "/codex/responses", "POST", body=b"{}", thread="one")
    revoke(backend, client, request)
    backend.respond = lambda seen: Answer(403) if seen.path.endswith("/register") else None
    [response] = client.send(request)
    assert (response.status, response.json()) == (401, {"error": {"code": "task_expired"}})
    assert len(backend.calls) == 1


UNKNOWN = json.dumps({"error": {"code": "unknown_agent"}}).encode()


@pytest.mark.parametrize(
    "refusal",
    [
        Answer(401, UNKNOWN),
        Answer(401, chunks=[UNKNOWN[:9], UNKNOWN[9:]]),
        Answer(401, gzip.compress(UNKNOWN), {"Content-Encoding": "gzip"}),
        Answer(401, chunks=[gzip.compress(UNKNOWN)], headers={"Content-Encoding": "gzip"}),
    ],
    ids=["plain", "chunked", "compressed", "both"],
)
def test_an_agent_that_the_backend_does_not_know_is_replaced(
    refusal: Answer, backend: Backend, open_client: Open
) -> None:
    client = open_client()
    client.send(Request(backend.base_url + "/codex/models"))
    first = backend.calls[0].header("Authorization")
    backend.respond = lambda seen: refusal if seen.header("Authorization") == first else None
    # The assertion of this second is the same still; of the next one it is another, and accepted.
    [response] = client.send(Request(backend.base_url + "/codex/models"))
    assert response.status == 200
    assert len(backend.identities) == (2 if len(backend.calls) == 3 else 1)


@pytest.mark.parametrize(
    "refusal",
    [
        Answer(401, b"not json"),
        Answer(401, b"[" * 70_000),
        Answer(401, b"no gzip", {"Content-Encoding": "gzip"}),
        Answer(401, b'{"error":{"code":["a"]}}'),
        Answer(401, b"\xff"),
    ],
    ids=["text", "deep", "broken", "odd", "no text"],
)
def test_a_refusal_that_says_nothing(refusal: Answer, backend: Backend, open_client: Open) -> None:
    client = open_client()
    client.send(Request(backend.base_url + "/codex/models"))
    refused: list[Seen] = []

    def respond(seen: Seen) -> Answer | None:
        if seen.path.endswith("/models") and not refused:
            refused.append(seen)
            return refusal
        return None

    backend.respond = respond
    request = Request(backend.base_url + "/codex/models")
    if refusal.headers:
        # A body that cannot be decoded is an error of the client's, in whatever answer it is.
        with pytest.raises(Exception, match=r"(?i)decod|encod|decompress"):
            client.send(request)
        return
    [response] = client.send(request)
    # One that is longer than what is looked at is not thrown away for a second try.
    assert response.status == (401 if len(refusal.body) > 65536 else 200)


# Where a turn's calls to responses go.


def entry(origin: str) -> dict[str, str]:
    return {
        "id": "acct-1",
        "plan_type": "business",
        "workspace_backend_origin": origin,
        "account_routing_override": "us_cr",
    }


@pytest.fixture
def workspace(certificate: Certificate) -> Generator[Server]:
    server = Server(tls=certificate.server)
    with running(server):
        yield server


@pytest.fixture
def turn(backend: Backend, workspace: Server) -> Request:
    """A call that goes to the workspace's origin."""
    backend.accounts = [entry(workspace.origin)]
    url = backend.base_url + "/codex/responses?a=b%20c"
    return Request(url, "POST", body=b'{"a":1}', thread="one")


def test_a_turns_call_goes_where_the_workspace_is(
    turn: Request, backend: Backend, workspace: Server, open_client: Open
) -> None:
    client = open_client(workspace_routing=True)
    turn.headers = {"X-Own": "1", "Host": f"127.0.0.1:{backend.port}"}
    responses = client.send(turn, turn, Request(backend.base_url + "/codex/models"))
    assert [response.status for response in responses] == [200] * 3
    assert [seen.path for seen in backend.calls] == ["/backend-api/codex/models"]
    assert len(workspace.seen) == 2
    for seen in workspace.seen:
        assert (seen.method, seen.path, seen.body) == (
            "POST",
            "/backend-api/codex/responses?a=b%20c",
            turn.body,
        )
        assert (seen.scheme, seen.header("X-OpenAI-Account-Routing-Override")) == ("AgentAssertion", "us_cr")
        assert (seen.header("Host"), seen.header("X-Own")) == (f"localhost:{workspace.port}", "1")
    is_hidden(*responses)


def test_what_is_rejected_there_is_sent_there_once_more(
    turn: Request, backend: Backend, workspace: Server, open_client: Open
) -> None:
    client = open_client(workspace_routing=True)
    workspace.respond = lambda seen: Answer(401) if len(workspace.seen) == 1 else None
    [response] = client.send(turn)
    assert response.status == 200
    assert [seen.body for seen in workspace.seen] == [turn.body] * 2
    assert len({seen.header("Authorization") for seen in workspace.seen}) == 2
    assert backend.calls == []


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("follow", [True, False])
@pytest.mark.parametrize("after", [0, 1], ids=["first", "second try"])
def test_a_redirect_from_there_is_an_error(
    status: int,
    follow: bool,
    after: int,
    turn: Request,
    workspace: Server,
    outside: Server,
    open_client: Open,
) -> None:
    client = open_client(workspace_routing=True)
    workspace.respond = lambda _: (
        redirect(outside.origin + "/", status) if len(workspace.seen) > after else Answer(401)
    )
    turn.follow = follow
    with pytest.raises(AgentAssertError) as caught:
        client.send(turn)
    assert caught.value.code == "redirected"
    # HTTPX looks there before it can be told not to, without what the call has to say.
    for seen in outside.seen:
        carries_nothing(seen)
        assert seen.body == b""
