"""Which library sends registrations: HTTPX, or httpx2, which goes on where that ended."""

from __future__ import annotations

from importlib import import_module, util

from .errors import AgentAssertError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAMES = ("httpx", "httpx2")


def check_http_library() -> None:
    """Refuse to be without one: a manager would fall back to the bearer token, and hardly say why.

    Raises:
        AgentAssertError: ``invalid_manager_config``.
    """
    if _installed() is None:
        raise AgentAssertError(
            "invalid_manager_config",
            "registrations are sent with HTTPX, which is not installed: "
            "pip install 'agentassert[httpx]', or give the manager a function of yours as http",
        )


def http_library() -> Any:
    """Return the library, which takes some hundred milliseconds to import.

    Raises:
        AgentAssertError: ``invalid_manager_config``.
    """
    check_http_library()
    return import_module(_installed() or "")


def _installed() -> str | None:
    return next(filter(util.find_spec, _NAMES), None)
