"""Authorizes the calls of HTTPX2's clients, and of what is built on them: the OpenAI SDK, for one.

with httpx2.Client(auth=AgentAssertAuth(manager)) as client:
    client.get(f"{manager.base_url}/codex/models")
"""

from __future__ import annotations

from .httpx_flow import HTTPXAuth

try:
    import httpx2
except ImportError:
    raise ImportError("agentassert.httpx2_auth needs httpx2: pip install 'agentassert[httpx2]'") from None


class AgentAssertAuth(HTTPXAuth, httpx2.Auth):
    """HTTPXAuth, for httpx2.Client and httpx2.AsyncClient."""

    library = httpx2
