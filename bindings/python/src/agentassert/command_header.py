"""The command that says what a call should carry."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from . import __version__
from .command_outcome import NO, USAGE, CommandError, one_line, outcome_of
from .errors import AgentAssertError

if TYPE_CHECKING:
    from .authorization import Authorization
    from .core import AgentAssert
    from .manager import Manager

    Commands = argparse._SubParsersAction[Any]  # pyright: ignore[reportPrivateUsage]

# For reasons without an error that would say it: why a call carries no assertion, and what to do.
_WHAT_TO_DO = {
    "no-chatgpt-credentials": "nobody is signed in with a ChatGPT account; sign in",
    "workspace-not-allowed": "the sign-in is of another account than those of --forced-workspace-id; "
    "sign in with one of these",
    "unsupported-host": "the backend's host is none that knows assertions; "
    "name it with --trust-host if it does",
    "no-account-id": "the sign-in does not say for which account it is; sign in again",
    "no-access-token": "the sign-in has no access token; sign in again",
}

_FROM_THE_COMMAND_LINE = {
    "invalid_base_url",
    "invalid_trusted_host",
    "insecure_base_url",
    "unknown_surface",
    "thread_surface",
    "invalid_config",
    "invalid_manager_config",
}


def add_header(commands: Commands) -> None:
    """Add the command."""
    command: argparse.ArgumentParser = commands.add_parser(
        "header",
        help="print the Authorization header that a call should carry",
        description="""\
Prints the value of the Authorization header that a backend call should carry now.

Uses the identity and the background task in auth.json, and registers them first if
there are none. With --profile instances a runtime agent instance is registered each
time, and its assertion is for one request; in header mode dual_header both header
fields are printed, with their names. Where the agent cannot be had, the bearer token is
printed, and standard error says why; where there is nothing to print, the exit code
is 1.""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add("--auth-file", required=True, metavar="FILE", help="the auth.json that the user signed in with")
    add("--base-url", required=True, metavar="URL", help="the backend's base URL")
    add("--surface", default="models", metavar="NAME", help="the kind of call (default: models)")
    add(
        "--json",
        action="store_true",
        help="print JSON: mode, reason, header, ids, how long it is valid",
    )
    add("--explain", dest="json", action="store_true", help=argparse.SUPPRESS)  # its former name
    add(
        "--identity-beside",
        action="store_true",
        help="keep the identity in a file of its own beside auth.json, and leave that unwritten",
    )
    add(
        "--without-locks",
        action="store_true",
        help="take no locks of files: where the file system has none, and no other process uses the file",
    )
    add(
        "--allow-http",
        action="store_true",
        help="allow http for another machine: whoever is on the way can read the user's token",
    )
    add(
        "--trust-host",
        action="append",
        default=[],
        metavar="HOST",
        help="count this host as supported (can be given again)",
    )
    add("--no-agent-identity", action="store_true", help="turn the feature off: bearer for every call")
    add(
        "--profile",
        choices=("biscuit", "auth-api", "instances"),
        default="biscuit",
        help="the form of the protocol: auth-api is what clients do today, instances are runtime agent "
        "instances",
    )
    add(
        "--auth-api-url",
        metavar="URL",
        help="where --profile auth-api and instances register (default: that of the public backends, "
        "none for others)",
    )
    add(
        "--all-surfaces",
        action="store_true",
        help="with --profile auth-api: have calls on all surfaces assert, not only those to responses",
    )
    add(
        "--workspace-routing",
        action="store_true",
        help="ask the backend where the workspace's calls to responses go, as clients from 0.156 on do",
    )
    add(
        "--forced-workspace-id",
        action="append",
        default=[],
        metavar="ID",
        help="the account to use in place of the signed-in one; given again, one of these it has to be",
    )
    add(
        "--header-mode",
        choices=("dual_header", "assertion_only"),
        default="dual_header",
        help="with --profile instances (default: dual_header)",
    )
    add(
        "--installation-id",
        metavar="ID",
        help="with --profile instances: the installation's id (default: the file installation_id beside "
        "auth.json)",
    )
    command.set_defaults(run=_header)


def _header(options: argparse.Namespace, core: AgentAssert) -> None:
    try:
        with _open(options, core) as manager:
            authorization = manager.authorization(options.surface)
    except AgentAssertError as error:
        hint = "; --allow-http allows it" if error.code == "insecure_base_url" else ""
        raised = outcome_of(error, usage=_FROM_THE_COMMAND_LINE)
        raise CommandError(raised.exit, f"{raised}{hint}") from None
    _print(authorization, as_json=options.json)


def _open(options: argparse.Namespace, core: AgentAssert) -> Manager:
    from .file_store import FileStore
    from .manager import Manager

    return Manager(
        core=core,
        base_url=options.base_url,
        store=FileStore(
            options.auth_file,
            identity="beside" if options.identity_beside else "auth.json",
            lock="process" if options.without_locks else "processes",
        ),
        agent_identity=not options.no_agent_identity,
        trusted_hosts=options.trust_host,
        forced_workspace_ids=options.forced_workspace_id,
        abom={
            "agent_version": __version__,
            "agent_harness_id": "agentassert-python",
            "running_location": f"cli-{sys.platform}",
        },
        profile=options.profile,
        auth_api_url=options.auth_api_url,
        all_surfaces=options.all_surfaces,
        instance=_instance(options),
        workspace_routing=options.workspace_routing,
        allow_http=options.allow_http,
    )


def _instance(options: argparse.Namespace) -> Any:
    """Return what runtime agent instances are registered with, or None in another profile."""
    if options.profile != "instances":
        return None
    installation = options.installation_id
    if installation is None:
        path = os.path.join(os.path.dirname(options.auth_file), "installation_id")
        try:
            with open(path, encoding="utf-8") as file:
                installation = file.read(4096).strip()
        except (OSError, UnicodeDecodeError):
            raise CommandError(
                USAGE,
                "--profile instances needs the installation's id, and there is no file installation_id "
                "beside auth.json; give --installation-id",
            ) from None
    return {
        "header_mode": options.header_mode,
        "installation_id": installation,
        "harness": "agentassert",
        "role": "orchestrator",
    }


def _print(authorization: Authorization, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_members(authorization), indent=2))
    lines = _said(authorization)
    if authorization.mode == "none":
        raise CommandError(NO, "; ".join(lines))
    for line in lines:
        print(f"agentassert: {line}", file=sys.stderr)
    if as_json:
        return
    if authorization.mode != "dual-header":
        print(authorization.header)
        return
    # Two header fields, so both have their names.
    if authorization.header:
        print(f"Authorization: {authorization.header}")
    print(f"X-OpenAI-Agent-Assertion: {authorization.agent_assertion}")


def _members(authorization: Authorization) -> dict[str, Any]:
    members: dict[str, Any] = {
        name: getattr(authorization, name)
        for name in ("mode", "reason", "header", "account_id", "agent_runtime_id", "task_id")
    }
    for name in ("agent_assertion", "runtime_agent_instance"):
        if getattr(authorization, name):
            members[name] = getattr(authorization, name)
    members["valid_until"] = _time(authorization.valid_until)
    if authorization.retry_at is not None:
        members["retry_at"] = _time(authorization.retry_at)
    for name in ("cause", "notice"):
        problem = getattr(authorization, name)
        if problem is not None:
            members[name] = {"code": problem.code, "message": one_line(problem.message)}
    return members


def _time(seconds: int) -> str:
    """Return a time in RFC 3339."""
    at = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _said(authorization: Authorization) -> list[str]:
    """Return what a person should hear of an answer, a line for each: why it is no assertion where one
    was hoped for, and what to know otherwise."""
    lines: list[str] = []
    why = _WHAT_TO_DO.get(authorization.reason, "")
    if authorization.cause is not None:
        why = one_line(authorization.cause.message)
    if why and authorization.mode in {"none", "bearer"}:
        instead = "no authorization" if authorization.mode == "none" else "the bearer token, and no assertion"
        lines.append(f"{instead} ({authorization.reason}): {why}")
    if authorization.notice is not None:
        lines.append(one_line(authorization.notice.message))
    return lines
