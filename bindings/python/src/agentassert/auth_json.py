"""An auth.json as this package reads it itself, to see whether what the module makes of one can be true.

The module reads and writes the document; nothing here changes it.
"""

from __future__ import annotations

import binascii
import json
import re

from .answer import is_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

#: Where an auth.json keeps the identity.
IDENTITY_MEMBER = "agent_identity"
#: An identity's members, which in some files stand in the document itself.
_FLAT_MEMBERS = (
    "agent_runtime_id",
    "agent_private_key",
    "workspace_id",
    "account_id",
    "chatgpt_user_id",
    "email",
    "plan_type",
    "chatgpt_account_is_fedramp",
    "registered_at",
    "background_task_id",
    "task_id",
)
#: Those without which there is no identity in the document itself.
_FLAT_MARKS = ("agent_runtime_id", "agent_private_key")
#: Those that go with the identity.
_REMOVED_MEMBERS = ("agent_runtime_id", "agent_private_key", "background_task_id", "task_id")

_WHITE_SPACE = " \t\r\n"
#: In what is JSON only strings, and what opens, separates and closes, need a look.
_TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}:,]')
_SPACE_BETWEEN_TOKENS = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\r\n]+')
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


def parse(document: bytes) -> Any:
    """Parse JSON as the core does: in UTF-8, with no name twice in an object, nor NaN. Numbers all come out
    as 0.

    Raises:
        ValueError: It is no JSON.
    """
    try:
        return json.loads(
            document.decode(),
            parse_int=_no_number,
            parse_float=_no_number,
            parse_constant=_refused,
            object_pairs_hook=_object,
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _parsed(document: bytes) -> Any:
    """Parse JSON, or returns ``None``."""
    try:
        return parse(document)
    except ValueError:
        return None


def _no_number(_: str) -> int:
    return 0


def _refused(_: str) -> NoReturn:
    raise ValueError("no JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name twice")
    return members


def members_of(document: bytes) -> dict[str, str] | None:
    """Return the members of a document that is a JSON object, none of which is there twice, or ``None``."""
    if not is_map(_parsed(document)):
        return None
    text = document.decode()
    members: dict[str, str] = {}
    depth = start = 0
    name = ""
    for match in _TOKENS.finditer(text):
        sign = match[0]
        if depth == 1 and sign == ":":
            name = json.loads(text[start : match.start()])
            start = match.end()
        elif depth == 1 and sign in ",}":
            value = text[start : match.start()].strip(_WHITE_SPACE)
            if value:
                members[name] = value
            start = match.end()
        if sign in "{[":
            start = match.end() if depth == 0 else start
            depth += 1
        elif sign in "}]":
            depth -= 1
    return members


def identity_in(members: Mapping[str, str]) -> str | None:
    """Return the text of the identity in a document, or ``None`` where there is none."""
    identity = members.get(IDENTITY_MEMBER, "null")
    if identity != "null":
        return identity
    if not _is_flat(members):
        return None
    flat = [(name, members.get(name, "null")) for name in _FLAT_MEMBERS]
    return "{" + ",".join(f'"{name}":{value}' for name, value in flat if value != "null") + "}"


def _is_flat(members: Mapping[str, str]) -> bool:
    return all(members.get(name, "").startswith('"') for name in _FLAT_MARKS)


def is_replacement(after: Mapping[str, str], before: Mapping[str, str], record: bytes) -> bool:
    """Report whether a document is another one with the record for its identity, or without one where that is
    empty.

    But for that it is the same: the same members, in their order, with the same text.
    """
    gone = {IDENTITY_MEMBER, *(_REMOVED_MEMBERS if not record and _is_flat(before) else ())}
    kept = [(name, value) for name, value in before.items() if name not in gone]
    found = [(name, value) for name, value in after.items() if name != IDENTITY_MEMBER]
    return found == kept and _is_same_json(after.get(IDENTITY_MEMBER), _text_of(record))


def is_identity(record: bytes, members: Mapping[str, str]) -> bool:
    """Report whether a record is the identity of a document, in whatever white space."""
    return _is_same_json(_text_of(record), identity_in(members))


def is_exactly(record: bytes, members: Mapping[str, str]) -> bool:
    """Report whether a record is the identity of a document, byte for byte."""
    return _text_of(record) == identity_in(members)


def _text_of(record: bytes) -> str | None:
    """Return a record's text, which is none of JSON's where it is no UTF-8; ``None`` of no record."""
    if not record:
        return None
    try:
        return record.decode()
    except UnicodeDecodeError:
        return ""


def _is_same_json(a: str | None, b: str | None) -> bool:
    return a == b or (a is not None and b is not None and _compact(a) == _compact(b))


def _compact(text: str) -> str:
    """Return a JSON text without the white space between its tokens."""
    return _SPACE_BETWEEN_TOKENS.sub(lambda match: match[1] or "", text)


def credentials_in(document: bytes) -> dict[str, Any] | None:
    """Return who is signed in by a document, or ``None`` where that is none.

    Why they cannot be used it does not say.
    """
    root = _parsed(document)
    if not is_map(root):
        return None
    mode, key = _text(root, "auth_mode"), _text(root, "OPENAI_API_KEY") or ""
    if mode == "agentIdentity":
        return _of_identity(root)
    if mode == "apikey" or (mode is None and key):
        return _without_empty(kind="api-key", access_token=key) if key else {"kind": "none"}
    if mode not in (None, "chatgpt"):
        return {"kind": "other"}
    tokens: dict[str, Any] = root["tokens"] if is_map(root.get("tokens")) else root
    if tokens is root and _text(root, "access_token") is None:
        return {"kind": "none"}
    claims = _claims_of(_text(tokens, "id_token") or "")
    auth = _member(claims, "https://api.openai.com/auth")
    return _without_empty(
        kind="chatgpt",
        access_token=_text(tokens, "access_token"),
        account_id=_text(tokens, "account_id") or _text(auth, "chatgpt_account_id"),
        user_id=_text(auth, "chatgpt_user_id") or _text(auth, "user_id"),
        email=_text(claims, "email"),
        plan_type=_text(auth, "chatgpt_plan_type"),
        fedramp=_member(auth, "chatgpt_account_is_fedramp") is True,
    )


def _of_identity(root: dict[str, Any]) -> dict[str, Any]:
    """Return the credentials of a document that has an identity and nobody's sign-in."""
    record = root.get(IDENTITY_MEMBER)
    if record is None and all(_text(root, name) is not None for name in _FLAT_MARKS):
        record = root
    if not is_map(record):
        return {"kind": "other" if isinstance(record, str) else "none"}
    workspace = _text(record, "workspace_id")
    return _without_empty(
        kind="agent-identity",
        account_id=_text(record, "account_id") if workspace is None else workspace,
        user_id=_text(record, "chatgpt_user_id"),
        email=_text(record, "email"),
        plan_type=_text(record, "plan_type"),
        fedramp=_member(record, "chatgpt_account_is_fedramp") is True,
    )


def _member(value: Any, name: str) -> Any:
    """Return an object's member, or ``None``."""
    return value.get(name) if is_map(value) else None


def _text(value: Any, name: str) -> str | None:
    """Return an object's member that is text, or ``None``."""
    found = _member(value, name)
    return found if isinstance(found, str) else None


def _claims_of(jwt: str) -> Any:
    """Return the claims of a JWT, without a look at its signature, or ``None``."""
    parts = jwt.split(".")
    if len(parts) != 3 or not _BASE64URL.fullmatch(parts[1]):
        return None
    payload = parts[1].replace("-", "+").replace("_", "/")
    try:
        return _parsed(binascii.a2b_base64(payload + "=" * (-len(payload) % 4)))
    except binascii.Error:
        return None


def _without_empty(**members: str | bool | None) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value}
