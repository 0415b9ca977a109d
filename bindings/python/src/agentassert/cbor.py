"""The encoding of messages: RFC 8949, core deterministic, and no more of it than messages have.

Integers of 64 bits, byte strings, text, arrays, maps with names, true and false; wasm/ABI.md,
"Messages", is the specification. CBOR libraries read more than that, and write other forms.
"""

from __future__ import annotations

from .errors import AgentAssertError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, TypeAlias

    Value: TypeAlias = (
        "str | int | bool | bytes | bytearray | memoryview | Sequence[Value] | Mapping[str, Value]"
    )
    """What a message is made of. Sequences are lists and tuples, mappings are dictionaries."""

MAX_MESSAGE = 1 << 20
"""Messages are larger than this only by mistake, in bytes. The core refuses them."""

_MAX_DEPTH = 16  # of arrays and maps in each other, as in the core
_MAX_NAMES = 256  # as many as messages have, and more

# The orders of members, by the names as the caller has them, with the names encoded. Messages have
# a few dozen of these. A name that is long is none of theirs, and may be anything: it is not kept.
_orders: dict[tuple[str, ...], list[tuple[bytes, str]]] = {}


def encode(message: Mapping[str, Value]) -> bytearray:
    """Return the encoding of a message, for the caller to overwrite.

    Raises:
        AgentAssertError: ``invalid_request`` for what no message holds, and for one of more than
            1 MiB. The text says which member it is, and nothing of what it holds.
    """
    out = bytearray()
    is_good = False
    try:
        _encode(out, message, 0)
        is_good = True
        return out
    except _UnencodableError as e:
        refusal = AgentAssertError("invalid_request", f"request{e.path}{e.problem}")
    finally:
        if not is_good:
            out[:] = bytes(len(out))
    raise refusal  # here, so that it has no other error in its context


class _UnencodableError(Exception):
    """A member that cannot be encoded, and the path to it, which grows on the way out."""

    def __init__(self, problem: str) -> None:
        self.path = ""
        self.problem = problem


def _encode(out: bytearray, value: Any, depth: int) -> None:
    kind = type(value)  # pyright: ignore[reportUnknownVariableType]
    if kind is str:
        _encode_text(out, value)
    elif kind is int:
        if value >= 0:
            if value > 0x7FFF_FFFF_FFFF_FFFF:
                raise _UnencodableError(" does not fit into 64 bits")
            _head(out, 0x00, value)
        else:
            if value < -0x8000_0000_0000_0000:
                raise _UnencodableError(" does not fit into 64 bits")
            _head(out, 0x20, -1 - value)
    elif kind is bool:
        out.append(0xF5 if value else 0xF4)
    elif kind is bytes or kind is bytearray:
        _room(out, len(value))
        _head(out, 0x40, len(value))
        out += value
    elif kind is dict:
        _encode_map(out, value, depth)
    elif kind is list or kind is tuple:
        _encode_array(out, value, depth)
    else:
        _encode_other(out, value, depth)


def _encode_other(out: bytearray, value: Any, depth: int) -> None:
    """Encode what is of a class derived from one of messages' types, by what that type has, so that
    no method of the derived class has a say."""
    if isinstance(value, str):  # an enumeration's member, for one
        _encode_text(out, str.__str__(value))
    elif isinstance(value, dict):
        members: Any = dict(dict.items(value))  # pyright: ignore
        _encode_map(out, members, depth)
    elif isinstance(value, (list, tuple)):
        kind: Any = list if isinstance(value, list) else tuple
        _encode_array(out, list(kind.__iter__(value)), depth)
    elif isinstance(value, (bytes, bytearray)):
        _encode(out, bytes(memoryview(value)), depth)
    elif isinstance(value, memoryview):
        try:
            data = value.tobytes()
        except ValueError:
            raise _UnencodableError(" is a memoryview that has been released") from None
        _encode(out, data, depth)
    elif value is None:
        raise _UnencodableError(" is None, which no message holds")
    else:
        raise _UnencodableError(f" is of the type {type(value).__name__}, which no message holds")


def _encode_text(out: bytearray, text: str) -> None:
    _room(out, len(text))
    try:
        data = text.encode()
    except UnicodeEncodeError:  # which has the text, and so must not become the next one's context
        data = None
    if data is None:
        raise _UnencodableError(" is not Unicode: it has half of a surrogate pair")
    _room(out, len(data))
    _head(out, 0x60, len(data))
    out += data


def _encode_array(out: bytearray, elements: Sequence[Any], depth: int) -> None:
    if depth >= _MAX_DEPTH:
        raise _UnencodableError(f" is nested more than {_MAX_DEPTH} times")
    _head(out, 0x80, len(elements))
    for i, element in enumerate(elements):
        try:
            _encode(out, element, depth + 1)
            _room(out, 0)
        except _UnencodableError as e:
            e.path = f"[{i}]{e.path}"
            raise


def _encode_map(out: bytearray, members: dict[Any, Any], depth: int) -> None:
    if depth >= _MAX_DEPTH:
        raise _UnencodableError(f" is nested more than {_MAX_DEPTH} times")
    _head(out, 0xA0, len(members))
    names = tuple(members)
    for encoded, name in _orders.get(names) or _order(names):
        out += encoded
        try:
            _encode(out, members[name], depth + 1)
            _room(out, 0)
        except _UnencodableError as e:
            e.path = f".{name if len(name) <= 64 else name[:64] + '…'}{e.path}"
            raise


def _order(names: tuple[Any, ...]) -> list[tuple[bytes, str]]:
    """Return the names of a map in order, each encoded and as it is."""
    order: list[tuple[bytes, str]] = []
    short = len(names) <= 32
    for name in names:
        if type(name) is not str:
            raise _UnencodableError(f" has a member whose name is of the type {type(name).__name__}, not str")
        encoded = bytearray()
        try:
            _encode_text(encoded, name)
        except _UnencodableError:
            raise _UnencodableError(" has a member whose name is not Unicode, or too long") from None
        order.append((bytes(encoded), name))
        short = short and len(name) <= 40
    order.sort()
    if short and len(_orders) < _MAX_NAMES:
        _orders[names] = order
    return order


def _room(out: bytearray, size: int) -> None:
    if len(out) + size > MAX_MESSAGE:
        raise _UnencodableError(f" makes the request longer than {MAX_MESSAGE} bytes")


def _head(out: bytearray, major: int, n: int) -> None:
    """Append an item's first byte and its argument, as short as it can be."""
    if n < 24:
        out.append(major | n)
    elif n < 0x100:
        out.append(major | 24)
        out.append(n)
    elif n < 0x1_0000:
        out.append(major | 25)
        out += n.to_bytes(2, "big")
    elif n < 0x1_0000_0000:
        out.append(major | 26)
        out += n.to_bytes(4, "big")
    else:
        out.append(major | 27)
        out += n.to_bytes(8, "big")


def decode(message: bytes | bytearray) -> Any:
    """Return the value that bytes encode: of str, int, bool, bytes, list and dict.

    Raises:
        AgentAssertError: ``sandbox_failed``, where they are not the one encoding of one value.
    """
    if len(message) > MAX_MESSAGE:
        raise _malformed("it is too long")
    try:
        value, end = _decode(message, 0, 0)
    except IndexError:
        problem = "it ends too early"
    except UnicodeDecodeError:  # which has the text, and so must not become the next one's context
        problem = "it has a text that is not UTF-8"
    else:
        if end == len(message):
            return value
        problem = "there are bytes behind its end"
    raise _malformed(problem)


def _malformed(problem: str) -> AgentAssertError:
    return AgentAssertError("sandbox_failed", f"the core's answer is no message of the ABI: {problem}")


def _decode(data: bytes | bytearray, at: int, depth: int) -> tuple[Any, int]:
    """Return the value at an offset, and the offset behind it."""
    first = data[at]
    major, n = first & 0xE0, first & 0x1F
    at += 1
    if n >= 24:
        if n > 27 or major > 0xA0:
            raise _malformed("it has an indefinite length, a tag, a float or a simple value")
        size = 1 << (n - 24)
        at += size
        if at > len(data):
            raise IndexError
        n = int.from_bytes(data[at - size : at], "big")
        if n < 24 if size == 1 else n >> (4 * size) == 0:
            raise _malformed("it has a number that is not in its shortest form")
    if major == 0x60:
        end = at + n
        if end > len(data):
            raise IndexError
        return data[at:end].decode(), end
    if major == 0xA0:
        if depth >= _MAX_DEPTH:
            raise _malformed("it is nested too deeply")
        return _decode_map(data, at, n, depth + 1)
    if major == 0x40:
        end = at + n
        if end > len(data):
            raise IndexError
        return bytes(data[at:end]), end
    if major <= 0x20:
        if n > 0x7FFF_FFFF_FFFF_FFFF:
            raise _malformed("it has an integer of more than 64 bits")
        return (n if major == 0 else -1 - n), at
    if major == 0x80:
        if depth >= _MAX_DEPTH:
            raise _malformed("it is nested too deeply")
        elements: list[Any] = []
        for _ in range(n):  # which ends with the data at the latest
            element, at = _decode(data, at, depth + 1)
            elements.append(element)
        return elements, at
    if first == 0xF4:
        return False, at
    if first == 0xF5:
        return True, at
    raise _malformed("it has a tag, a float or a simple value")


def _decode_map(data: bytes | bytearray, at: int, count: int, depth: int) -> tuple[dict[str, Any], int]:
    members: dict[str, Any] = {}
    last: bytes | bytearray = b""
    for _ in range(count):
        start = at
        if data[at] & 0xE0 != 0x60:
            raise _malformed("it has a name that is no text")
        name, at = _decode(data, at, depth)
        encoded = data[start:at]
        if encoded <= last:  # every name's encoding is longer than nothing
            raise _malformed("it has names that are not in order, or twice")
        last = encoded
        members[name], at = _decode(data, at, depth)
    return members, at
