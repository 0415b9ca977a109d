"""The command line of this package, and what its exit codes mean."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn, TextIO

from . import MODULE_SHA256, __version__
from .command_assertions import add_assert, add_inspect, add_keygen, add_verify
from .command_header import add_header
from .command_outcome import FAILED, USAGE, CommandError, one_line
from .core import AgentAssert
from .errors import AgentAssertError

_ABI = 2

_DESCRIPTION = """\
Makes, checks and explains AgentAssertion headers: signed proofs of which agent calls a
backend, on which task, and when.

Keys are used inside a WebAssembly sandbox that can reach nothing.
Exit codes: 0 done, 1 the answer is no, 2 usage, 3 it failed."""


class _Parser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"agentassert: {one_line(message)}; see '{self.prog} --help'\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line, by default the process's, and return its exit code: 0 done, 1 the answer is
    no, 2 usage, 3 it failed. An error is one line on standard error."""
    for stream in (sys.stdout, sys.stderr):
        _accept_all_text(stream)
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _fail("interrupted", FAILED)
    except BrokenPipeError:
        # Whoever read the output has gone. Python would complain of it once more at its end.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code


def _run(arguments: Sequence[str] | None) -> int:
    parser = _parser()
    try:
        options = parser.parse_args(arguments)
    except SystemExit as end:  # after --help, --version, and what is wrong with the usage
        return end.code if isinstance(end.code, int) else 0
    if options.command is None:
        parser.print_help()
        return 0
    try:
        with AgentAssert.load(engine=options.engine) as core:
            options.run(options, core)
    except CommandError as error:
        hint = f"; see '{parser.prog} {options.command} --help'" if error.exit == USAGE else ""
        return _fail(f"{error}{hint}", error.exit)
    except AgentAssertError as error:
        return _fail(str(error), FAILED)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        return _fail(f"standard input or output failed: {error.strerror or error}", FAILED)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m agentassert",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = f"agentassert {__version__}\nabi {_ABI}\nmodule sha256 {MODULE_SHA256}"
    parser.add_argument("--version", action=_Version, version=version)
    parser.add_argument(
        "--engine", choices=("native", "wasmtime"), help="what runs the sandbox (default: what is installed)"
    )
    commands = parser.add_subparsers(
        dest="command", title="commands", metavar="COMMAND", parser_class=_Parser
    )
    for add in (add_header, add_assert, add_verify, add_inspect, add_keygen):
        add(commands)
    return parser


class _Version(argparse.Action):
    """Prints the versions, a line for each."""

    def __init__(self, option_strings: Sequence[str], dest: str, version: str) -> None:
        super().__init__(
            option_strings, dest, nargs=0, help="print the versions of the package, the ABI and the module"
        )
        self._version = version

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        print(self._version)
        parser.exit()


def _fail(message: str, code: int) -> int:
    print(f"agentassert: {one_line(message)}", file=sys.stderr)
    return code


def _accept_all_text(stream: TextIO) -> None:
    """Have a stream write what its encoding lacks as an escape, and not fail."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
