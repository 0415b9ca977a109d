"""The credentials that a manager is given."""

from __future__ import annotations

from typing import cast

from .errors import AgentAssertError
from .messages import Credentials
from .shapes import is_mapping


def checked_credentials(given: object) -> Credentials:
    """Return a copy of credentials as a flow takes them: none where there are none, without empty members.

    Whether they can be used is the core's to say.

    Raises:
        AgentAssertError: ``invalid_request`` for what are no credentials.
    """
    if given is None:
        return {"kind": "none"}
    if not is_mapping(given):
        raise AgentAssertError("invalid_request", "the credentials are no mapping")
    members = {str(name): value for name, value in given.items()}
    if not isinstance(members.get("kind"), str):
        raise AgentAssertError("invalid_request", "the credentials have no kind")
    for name in ("access_token", "account_id", "user_id", "email", "plan_type"):
        if not isinstance(members.get(name, ""), str):
            raise AgentAssertError("invalid_request", f"the credentials' {name} is no text")
    if not isinstance(members.get("fedramp", False), bool):
        raise AgentAssertError("invalid_request", "the credentials' fedramp is neither True nor False")
    # The ABI has no empty members.
    return cast(Credentials, {name: value for name, value in members.items() if value not in ("", False)})
