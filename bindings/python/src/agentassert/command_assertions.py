"""The commands that need no backend: assert, verify, inspect, keygen."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .command_outcome import FAILED, NO, USAGE, CommandError, one_line, outcome_of
from .errors import AgentAssertError
from .results import TaskInspection

if TYPE_CHECKING:
    from .core import AgentAssert
    from .results import Inspection

    Commands = argparse._SubParsersAction[Any]  # pyright: ignore[reportPrivateUsage]

_MAX_INPUT = 1 << 20  # of files and standard input, in bytes

_HEADER_HELP = """\
HEADER is the value of Authorization or X-OpenAI-Agent-Assertion; - is standard input,
and the place for one that is still valid: every program of the machine can read a
command line."""


def add_assert(commands: Commands) -> None:
    """Add the command that makes an assertion."""
    command = _command(
        commands,
        "assert",
        "print an assertion, offline",
        """\
Prints the header value that proves that an agent is on a task at a time, or that a
runtime agent instance makes a request: that one is for one request, and another each
time.

The key file holds base64 of PKCS#8, as keygen writes it and as auth.json has it in
agent_private_key. Lines that start with # are ignored.""",
    )
    command.add_argument(
        "--key-file", required=True, metavar="FILE", help="the private key's file; - is standard input"
    )
    command.add_argument("--runtime-id", metavar="ID", help="the agent's runtime id")
    command.add_argument("--task-id", metavar="ID", help="the task's id")
    command.add_argument(
        "--runtime-agent-instance",
        metavar="ID",
        help="in place of these two, the id of a runtime agent instance",
    )
    command.add_argument(
        "--header-mode",
        choices=("assertion_only", "dual_header"),
        default="assertion_only",
        help="of an instance: for Authorization, which is the default, or for X-OpenAI-Agent-Assertion",
    )
    command.add_argument("--at", metavar="TIME", help="RFC 3339 or Unix seconds (default: now)")
    command.add_argument(
        "--json", action="store_true", help="print JSON: header, or else agent_assertion, and timestamp"
    )
    command.set_defaults(run=_assert)


def add_verify(commands: Commands) -> None:
    """Add the command that checks an assertion."""
    command = _command(
        commands,
        "verify",
        "check an assertion against a public key",
        f"""\
Checks that a header was signed by a key, and close enough to a time.

Prints what it says and exits with 0, or says why not and exits with 1.
{_HEADER_HELP}

--json prints one object: valid, form, and envelope or instance; or valid and cause.""",
    )
    command.add_argument("--public-key", required=True, metavar="KEY", help="the agent's, ssh-ed25519 …")
    command.add_argument(
        "--at", metavar="TIME", help="the verifier's time, RFC 3339 or Unix seconds (default: now)"
    )
    command.add_argument(
        "--skew", default="5m", metavar="TIME", help="how far the clocks may be apart: 300, 300s, 5m"
    )
    command.add_argument("--json", action="store_true", help="print JSON, as described above")
    command.add_argument("header", nargs="+", metavar="HEADER")
    command.set_defaults(run=_verify)


def add_inspect(commands: Commands) -> None:
    """Add the command that takes an assertion apart."""
    command = _command(
        commands,
        "inspect",
        "print what an assertion says, signed by whomever",
        f"""\
Prints what an assertion says: its form, of a task or of a runtime agent instance, its
envelope or its claims, and whether its bytes are canonical: the very ones that a signer
would write. The signature is not checked: verify does that.
{_HEADER_HELP}

--json prints one object: form, envelope or instance, and canonical.""",
    )
    command.add_argument("--json", action="store_true", help="print JSON, as described above")
    command.add_argument("header", nargs="+", metavar="HEADER")
    command.set_defaults(run=_inspect)


def add_keygen(commands: Commands) -> None:
    """Add the command that makes a key."""
    command = _command(
        commands,
        "keygen",
        "make a private key, and print its public key",
        """\
Makes a private key, writes it to a new file that only you can read, and prints its
public key. The file has the public key too, in a comment: it is a key file for assert.

Without --out both are printed, for a program that keeps them. A shell that writes that
to a file makes one which others can read.""",
    )
    command.add_argument(
        "--out",
        metavar="FILE",
        help="write the key to this file, which must not be there yet, and print the public key alone",
    )
    command.add_argument(
        "--json", action="store_true", help="print JSON: private_key, unless it is in --out, and public_key"
    )
    command.set_defaults(run=_keygen)


def _command(commands: Commands, name: str, short: str, long: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=short, description=long, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    return command


def _assert(options: argparse.Namespace, core: AgentAssert) -> None:
    task = (options.runtime_id, options.task_id)
    instance = options.runtime_agent_instance
    if (instance is None) == (None in task) or (instance is not None and task != (None, None)):
        raise CommandError(
            USAGE, "it takes both --runtime-id and --task-id, or --runtime-agent-instance in their place"
        )
    now = _time_of(options.at)
    key = _read_key(options.key_file)
    try:
        if instance is None:
            made = core.assert_(
                private_key=key, agent_runtime_id=options.runtime_id, task_id=options.task_id, now=now
            )
        else:
            made = core.assert_instance(private_key=key, runtime_agent_instance=instance, now=now)
    except AgentAssertError as error:
        raise outcome_of(
            error, usage={"invalid_agent_runtime_id", "invalid_task_id", "invalid_time"}
        ) from None
    if instance is not None and options.header_mode == "assertion_only":
        made = f"AgentAssertion {made}"
    if options.json:
        member = "header" if made.startswith("AgentAssertion ") else "agent_assertion"
        _print_json({member: made, "timestamp": _rfc3339(now)})
    else:
        print(made)


def _verify(options: argparse.Namespace, core: AgentAssert) -> None:
    now, skew, header = _time_of(options.at), _seconds_of(options.skew), _read_header(options.header)
    public_key = " ".join(options.public_key.split()[:2])  # without the comment
    verify: Callable[..., Inspection] = core.verify
    with suppress(AgentAssertError):  # what is no assertion at all, verifying says, too
        if core.inspect(header).form == "instance":
            verify = core.verify_instance
    try:
        inspection = verify(public_key=public_key, header=header, now=now, skew=skew)
    except AgentAssertError as error:
        outcome = outcome_of(
            error,
            usage={"invalid_public_key", "invalid_time", "invalid_skew"},
            no={"invalid_assertion", "invalid_request", "bad_signature", "timestamp_skew"},
        )
        if options.json and outcome.exit == NO:
            _print_json({"valid": False, "cause": {"code": error.code, "message": error.message}})
        raise outcome from None
    if options.json:
        _print_json({"valid": True, **_content(inspection)})
    else:
        print("valid")
        _print_lines(_content(inspection))


def _inspect(options: argparse.Namespace, core: AgentAssert) -> None:
    try:
        inspection = core.inspect(_read_header(options.header))
    except AgentAssertError as error:
        raise outcome_of(error, no={"invalid_assertion", "invalid_request"}) from None
    if options.json:
        _print_json({**_content(inspection), "canonical": inspection.canonical})
    else:
        _print_lines(_content(inspection), inspection.canonical)


def _keygen(options: argparse.Namespace, core: AgentAssert) -> None:
    pair = core.generate_key()
    text = f"# public key: {pair.public_key}\n{pair.private_key}\n"
    if options.out is not None:
        _write_key(options.out, text)
        text = f"{pair.public_key}\n"
    if options.json:
        members = {"private_key": pair.private_key} if options.out is None else {}
        _print_json({**members, "public_key": pair.public_key})
        return
    print(text, end="")


def _content(inspection: Inspection) -> dict[str, Any]:
    """Return the form of an assertion, and what it says, in the order of the wire format."""
    if isinstance(inspection, TaskInspection):
        envelope = asdict(inspection.envelope)
        ordered = ("agent_runtime_id", "signature", "task_id", "timestamp")
        return {"form": inspection.form, "envelope": {name: envelope[name] for name in ordered}}
    return {"form": inspection.form, "instance": asdict(inspection.instance)}


def _print_lines(content: dict[str, Any], canonical: bool | None = None) -> None:
    """Print what there is to say, a line for each name."""
    said: dict[str, Any] = content["envelope"] if "envelope" in content else content["instance"]
    lines = {"form": content["form"], **said}
    if "iat" in lines:
        lines["iat"] = _rfc3339(lines["iat"])
    lines["signature"] = lines.pop("signature")  # the longest comes last
    if canonical is not None:
        lines["canonical"] = "yes" if canonical else "no"
    width = max(map(len, lines))
    for name, value in lines.items():
        print(f"{name:{width}}  {_shown(value)}")


def _shown(text: str) -> str:
    """Return a stranger's text on one line, and with nothing in it that a terminal would obey."""
    return text if text and text.isprintable() and text.strip() == text else json.dumps(text)


def _rfc3339(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2))


_UNIX = re.compile(r"-?[0-9]{1,18}")
_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def _time_of(text: str | None) -> int:
    """Return a time in Unix seconds. Nothing is now."""
    if text is None:
        return int(time.time())
    if _UNIX.fullmatch(text):
        return int(text)
    match = _RFC3339.fullmatch(text)
    with suppress(ValueError):
        if match:
            day, second, _, zone = match.groups()
            at = datetime.datetime.fromisoformat(f"{day}T{second}{'+00:00' if zone in 'Zz' else zone}")
            return int(at.timestamp())
    raise CommandError(
        USAGE,
        f"the time {text!r} is neither RFC 3339, such as 2026-11-24T15:16:08Z, nor Unix seconds",
    )


def _seconds_of(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,18})(s|m|h)?", text)
    if not match:
        raise CommandError(USAGE, "--skew is not a whole number of seconds, minutes or hours: 300, 300s, 5m")
    return int(match[1]) * {None: 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def _read_input(path: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read(_MAX_INPUT)
    with open(path, "rb") as file:
        return file.read(_MAX_INPUT)


def _read_key(path: str) -> str:
    try:
        text = _read_input(path).decode("utf-8", "replace")
    except OSError as error:
        raise CommandError(FAILED, f"the key file cannot be read: {error.strerror}") from None
    lines = [line.strip() for line in text.splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    if len(keys) != 1:
        raise CommandError(
            FAILED,
            f"the key file has {len(keys)} keys, not one: it holds one line of base64; "
            "make one with 'python -m agentassert keygen'",
        )
    return keys[0]


def _read_header(arguments: list[str]) -> str:
    """Return a header field's value: whole, in two arguments because the shell split it at the space,
    or from standard input. The field's name may stand before it."""
    header = " ".join(arguments)
    if header == "-":
        header = _read_input("-").decode("utf-8", "surrogateescape")
    header = header.strip()
    name, colon, value = header.partition(":")
    if colon and name.lower() in {"authorization", "x-openai-agent-assertion"}:
        return value.strip()
    return header


def _write_key(path: str, text: str) -> None:
    """Write a new file that only its owner can read, whole or not at all."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CommandError(
            FAILED,
            f"there is a file {path} already, which stays as it is: a key in it would be lost; "
            "choose another name",
        ) from None
    except OSError as error:
        raise CommandError(FAILED, f"the key cannot be written: {one_line(error.strerror)}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with suppress(OSError):
            os.unlink(path)
        raise CommandError(FAILED, f"the key cannot be written: {one_line(error.strerror)}") from None
