"""The command line: what it prints, and its exit codes."""

from __future__ import annotations

import io
import json
import pathlib
import stat
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from http_backend import AUTH_API_PATH, TOKEN, Backend, running
from test_engines import in_place
from verification import START, instance_value, key, public, task_header

import agentassert
from agentassert import command

CAPTURES = pathlib.Path(__file__).resolve().parents[3] / "testvectors" / "captures"


@dataclass
class Ended:
    """What a command line came to."""

    code: int
    out: str
    err: str


class Tool:
    """The command line, run in this process."""

    def __init__(self, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self._capture = capture
        self._patch = patch

    def __call__(self, *arguments: object, stdin: str = "") -> Ended:
        self._patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        code = command.main([str(argument) for argument in arguments])
        out, err = self._capture.readouterr()
        assert err.count("\n") == (1 if code else err.count("\n")), "an error is one line"
        return Ended(code, out, err)


@pytest.fixture
def tool(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tool:
    return Tool(capsys, monkeypatch)


def captured() -> list[dict[str, Any]]:
    lines = (CAPTURES / "enabled.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line.get("aa", {}).get("raw")]


def test_the_captured_headers(tool: Tool) -> None:
    """The real client's headers, byte for byte."""
    identity = json.loads((CAPTURES / "enabled.auth.json").read_text())["agent_identity"]
    assert captured()
    for line in captured():
        header, envelope = line["headers"]["authorization"], json.loads(line["aa"]["raw"])
        made = tool(
            "assert",
            *("--key-file", "-", "--at", envelope["timestamp"]),
            *("--runtime-id", envelope["agent_runtime_id"], "--task-id", envelope["task_id"]),
            stdin=identity["agent_private_key"],
        )
        assert made == Ended(0, header + "\n", "")
        inspected = json.loads(tool("inspect", "--json", header).out)
        assert inspected == {"form": "task", "envelope": envelope, "canonical": True}
        assert list(inspected["envelope"]) == list(envelope)


def test_keygen_assert_verify(tool: Tool, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "key.txt"
    public_key = tool("keygen", "--out", path).out.strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().startswith(f"# public key: {public_key}\n")
    arguments = ("--key-file", path, "--runtime-id", "agent-1", "--task-id", "a:b", "--at", START)
    header = tool("assert", *arguments).out.strip()

    def verify(*more: object, stdin: str = "") -> Ended:
        return tool("verify", "--public-key", f"{public_key} a comment", *more, stdin=stdin)

    verified = json.loads(verify("--at", "2026-11-24T15:21:08Z", "--json", header).out)
    assert (verified["valid"], verified["form"], verified["envelope"]["task_id"]) == (True, "task", "a:b")
    assert verify("--at", START, header).out.startswith("valid\nform              task\n")
    assert "task_id           a:b\n" in tool("inspect", header).out
    assert json.loads(tool("assert", *arguments, "--json").out) == {
        "header": header,
        "timestamp": "2026-11-24T15:16:08Z",
    }
    late = verify("--at", "2026-11-24T15:21:09Z", header)
    assert (late.code, late.out) == (1, "")
    assert "too old" in late.err
    late = verify("--at", "2026-11-24T15:21:09Z", "--json", header)
    assert (late.code, json.loads(late.out)) == (
        1,
        {"valid": False, "cause": {"code": "timestamp_skew", "message": "the timestamp is too old"}},
    )
    assert verify("--at", "2026-11-24T16:16:08+01:00", "--skew", "0s", "Authorization:", header).code == 0
    assert verify("--at", START, *header.split(), "--skew", "1h").code == 0
    assert verify("--at", START, "-", stdin=f" authorization: {header}\n").code == 0
    assert verify("--at", START, header[:-2]).code == 1
    assert tool("verify", "--public-key", public(1), "--at", START, header).code == 1


def test_instances(tool: Tool, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "key.txt"
    path.write_text(f"# a comment\n\n{key(1)['private_key']}\n")
    made = ("assert", "--key-file", path, "--runtime-agent-instance", "instance-1", "--at", START)
    header = tool(*made).out.strip()
    assert header.startswith("AgentAssertion 1.")
    value = tool(*made, "--header-mode", "dual_header").out.strip()
    assert value.startswith("1.")
    assert value != header.removeprefix("AgentAssertion "), "another one each time"
    for given in (header, value, f"X-OpenAI-Agent-Assertion: {value}"):
        verified = tool("verify", "--public-key", public(1), "--at", START, "--json", given)
        claims = json.loads(verified.out)["instance"]
        assert list(claims) == ["runtime_agent_instance", "iat", "id", "signature"]
        assert (claims["runtime_agent_instance"], claims["iat"]) == ("instance-1", START)
        assert json.loads(tool("inspect", "--json", given).out)["instance"] == claims


def test_keygen_prints(tool: Tool, tmp_path: pathlib.Path) -> None:
    text = tool("keygen").out
    assert text.startswith("# public key: ssh-ed25519 ")
    assert tool("assert", "--key-file", "-", "--runtime-id", "a", "--task-id", "t", stdin=text).code == 0
    assert list(json.loads(tool("keygen", "--json").out)) == ["private_key", "public_key"]
    path = tmp_path / "key.txt"
    assert list(json.loads(tool("keygen", "--json", "--out", path).out)) == ["public_key"]
    kept = path.read_text()
    again = tool("keygen", "--out", path)
    assert (again.code, path.read_text()) == (3, kept)
    assert "already" in again.err


def usages(folder: pathlib.Path) -> list[tuple[list[str], int, str]]:
    """Command lines, their exit codes, and what is said: on standard error, or where the code is 0 on
    standard output."""
    bad_key = folder / "bad.txt"
    bad_key.write_text("not base64\n")
    two_keys = folder / "two.txt"
    two_keys.write_text("a\nb\n")
    task = ["--runtime-id", "a", "--task-id", "b"]
    verify = ["verify", "--public-key", public(1)]
    return [
        (["--help"], 0, "Exit codes"),
        (["verify", "--help"], 0, "--skew"),
        ([], 0, "keygen"),
        (
            ["--version"],
            0,
            f"agentassert {agentassert.__version__}\nabi 2\nmodule sha256 {agentassert.MODULE_SHA256}",
        ),
        (["nonsense"], 2, "python -m agentassert --help"),
        (["keygen", "--nonsense"], 2, "--nonsense"),
        (["assert"], 2, "agentassert assert --help"),
        (["inspect"], 2, "HEADER"),
        (["--engine", "steam", "keygen"], 2, "steam"),
        ([*verify, "--at", "yesterday", "h"], 2, "RFC 3339"),
        ([*verify, "--at", "2026-02-30T00:00:00Z", "h"], 2, "RFC 3339"),
        ([*verify, "--at", "9" * 18, task_header(1, "a", "t")], 2, "year"),
        ([*verify, "--skew", "1ms", "h"], 2, "whole number"),
        ([*verify, "--skew", "-1", "h"], 2, "--skew"),
        (["verify", "--public-key", "x", "h"], 2, "ssh-ed25519"),
        ([*verify, "--at", str(START), task_header(2, "a", "t")], 1, "signature"),
        ([*verify, "--at", str(START), instance_value(2, "i")], 1, "signature"),
        ([*verify, "Bearer x"], 1, "AgentAssertion"),
        (["inspect", "Bearer x"], 1, "AgentAssertion"),
        (["inspect", "AgentAssertion \udcff"], 1, ""),
        (["assert", "--key-file", str(folder / "none"), *task], 3, "key file"),
        (["assert", "--key-file", str(folder), *task], 3, "key file"),
        (["assert", "--key-file", str(bad_key), *task], 3, "base64"),
        (["assert", "--key-file", str(two_keys), *task], 3, "2 keys"),
        (["assert", "--key-file", "-", *task], 3, "0 keys"),
        (["assert", "--key-file", "-", "--runtime-id", "a"], 2, "--task-id"),
        (["assert", "--key-file", "-", *task, "--runtime-agent-instance", "i"], 2, "in their place"),
        (["keygen", "--out", str(folder / "no" / "key.txt")], 3, "written"),
        (["header", "--auth-file", str(folder / "none.json")], 2, "--base-url"),
    ]


def test_exit_codes(tool: Tool, tmp_path: pathlib.Path) -> None:
    for arguments, code, said in usages(tmp_path):
        ended = tool(*arguments)
        assert (ended.code, said in (ended.err if code else ended.out)) == (code, True), (arguments, ended)


@pytest.mark.parametrize(
    ("arguments", "runtime_id"),
    [(["a\nb"], "a\nb"), (["a:b"], "a:b"), ([""], "")],
)
def test_ids_that_must_not_be_signed(tool: Tool, arguments: list[str], runtime_id: str) -> None:
    ended = tool(
        "assert", "--key-file", "-", "--runtime-id", *arguments, "--task-id", "t", stdin=key(1)["private_key"]
    )
    assert (ended.code, ended.out) == (2, "")


def test_a_key_is_never_shown(tool: Tool) -> None:
    """Not even one that is no key."""
    secret = key(1)["private_key"][:-4] + "AAAA"
    ended = tool("assert", "--key-file", "-", "--runtime-id", "a", "--task-id", "t", stdin=secret)
    assert ended.code == 3
    assert secret[8:40] not in ended.err + ended.out


# The header that a call should carry.


@pytest.fixture
def auth_file(tmp_path: pathlib.Path) -> pathlib.Path:
    """An auth.json of somebody who has signed in and has no agent yet."""
    document = json.loads((CAPTURES / "enabled.auth.json").read_text())
    del document["agent_identity"]
    document["tokens"]["access_token"] = TOKEN
    path = tmp_path / "auth.json"
    path.write_text(json.dumps(document))
    return path


def test_header(tool: Tool, auth_file: pathlib.Path) -> None:
    backend = Backend()
    with running(backend):
        flags = ("header", "--auth-file", auth_file, "--base-url", backend.base_url)
        unsupported = tool(*flags)
        assert (unsupported.code, unsupported.out) == (0, f"Bearer {TOKEN}\n")
        assert "--trust-host" in unsupported.err

        trusted = (*flags, "--trust-host", "127.0.0.1")
        explained = json.loads(tool(*trusted, "--json").out)
        assert (explained["mode"], explained["reason"]) == ("agent-assertion", "background-task")
        assert (explained["agent_runtime_id"], explained["task_id"]) == ("agent-1", "task-1")
        header = tool(*trusted).out.strip()
        assert json.loads(tool("inspect", "--json", header).out)["envelope"]["task_id"] == "task-1"
        assert backend.identities == ["agent-1"], "another one was registered"
        assert tool(*trusted, "--no-agent-identity").out == f"Bearer {TOKEN}\n"
        assert tool(*trusted, "--surface", "bootstrap").out == f"Bearer {TOKEN}\n"

        for more, said in [
            (("--surface", "nonsense"), "surface"),
            (("--surface", "responses"), "thread"),
            (("--trust-host", "a/b"), "trusted host"),
            (("--base-url", "chatgpt.com"), "URL"),
            (("--base-url", "http://chatgpt.com"), "--allow-http"),
            (("--profile", "instances"), "--installation-id"),
            (("--profile", "steam"), "steam"),
        ]:
            ended = tool(*trusted, *more)
            assert (ended.code, said in ended.err) == (2, True), ended


def test_header_of_an_instance(tool: Tool, auth_file: pathlib.Path) -> None:
    backend = Backend()
    with running(backend):
        flags = (
            "header",
            *("--auth-file", auth_file, "--base-url", backend.base_url, "--trust-host", "127.0.0.1"),
            *("--profile", "instances", "--auth-api-url", backend.origin + AUTH_API_PATH),
        )
        (auth_file.parent / "installation_id").write_text("aa88e197-a6dc-457d-a525-2192aadf9048\n")
        bearer, assertion = tool(*flags).out.splitlines()
        assert bearer == f"Authorization: Bearer {TOKEN}"
        assert assertion.startswith("X-OpenAI-Agent-Assertion: 1.")
        [alone] = tool(*flags, "--header-mode", "assertion_only").out.splitlines()
        assert alone.startswith("AgentAssertion 1.")
        assert backend.instances == ["instance-1", "instance-2"]
    # Nobody serves it any more.
    fallen = tool(*flags)
    assert (fallen.code, fallen.out) == (0, f"Bearer {TOKEN}\n")
    assert "registration-failed" in fallen.err


@pytest.mark.parametrize(
    ("document", "code", "said"),
    [
        (None, 1, "no-chatgpt-credentials"),
        ('{"auth_mode":"apikey","OPENAI_API_KEY":"not-a-real-key"}', 1, "no-chatgpt-credentials"),
        ("", 3, "empty"),
        ('{"tokens":', 3, "JSON"),
    ],
)
def test_header_of_nobody(
    tool: Tool, tmp_path: pathlib.Path, document: str | None, code: int, said: str
) -> None:
    path = tmp_path / "auth.json"
    if document is not None:
        path.write_text(document)
    ended = tool("header", "--auth-file", path, "--base-url", "https://chatgpt.com/backend-api")
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err


# As a process.


def run(arguments: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    command_line = [sys.executable, "-W", "error", "-m", "agentassert", *arguments]
    return subprocess.run(command_line, text=True, timeout=120, check=False, env=in_place(), **options)


def test_a_process() -> None:
    made = run(["keygen", "--json"], capture_output=True)
    assert (made.returncode, made.stderr) == (0, "")
    pair = json.loads(made.stdout)
    header = run(
        ["assert", "--key-file", "-", "--runtime-id", "a", "--task-id", "t"],
        input=pair["private_key"],
        capture_output=True,
    )
    verified = run(
        ["verify", "--public-key", pair["public_key"], "--json", "-"],
        input=header.stdout,
        capture_output=True,
    )
    assert (verified.returncode, json.loads(verified.stdout)["envelope"]["task_id"]) == (0, "t")


def test_output_that_nobody_reads() -> None:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "agentassert", "keygen"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=in_place(),
    )
    assert process.stdout
    process.stdout.close()
    assert process.stderr
    assert (process.stderr.read(), process.wait(120)) == ("", 3)
    process.stderr.close()
