"""Authorizes the calls of HTTPX's clients, and of what is built on them.

with httpx.Client(auth=AgentAssertAuth(manager)) as client:
    client.get(f"{manager.base_url}/codex/models")
"""

from __future__ import annotations

from .httpx_flow import HTTPXAuth

try:
    import httpx
except ImportError:
    raise ImportError("agentassert.httpx_auth needs httpx: pip install 'agentassert[httpx]'") from None


class AgentAssertAuth(HTTPXAuth, httpx.Auth):
    """HTTPXAuth, for httpx.Client and httpx.AsyncClient."""

    library = httpx
