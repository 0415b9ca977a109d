"""The codec, held against the core's, and what it makes of bytes that are nearly messages."""

from __future__ import annotations

import enum
import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from vectors import areas, from_json, vectors

from agentassert import AgentAssert, AgentAssertError
from agentassert.cbor import MAX_MESSAGE, decode, encode


@pytest.fixture
def core(engine: str) -> Iterator[AgentAssert]:
    with AgentAssert.load(engine=engine) as loaded:
        yield loaded


# How many inputs a test makes up. More for a fuzzer's night.
ROUNDS = int(os.environ.get("AGENTASSERT_FUZZ", "3000"))

MESSAGES = [
    bytes(encode({"method": vector["method"], "params": from_json(vector["params"])}))
    for area in areas()
    for vector in vectors(area)[:40]
    if "params" in vector
]


class Colour(str, enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


class Loud(str):
    def __str__(self) -> str:
        return "loud"

    def encode(self, encoding: str = "", errors: str = "") -> bytes:
        return b"loud"


class Full(dict[str, int]):
    def items(self) -> Any:
        return {"b": 2}.items()


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        # RFC 8949, appendix A.
        (0, "00"),
        (1, "01"),
        (10, "0a"),
        (23, "17"),
        (24, "1818"),
        (25, "1819"),
        (100, "1864"),
        (1000, "1903e8"),
        (1000000, "1a000f4240"),
        (1000000000000, "1b000000e8d4a51000"),
        (2**63 - 1, "1b7fffffffffffffff"),
        (-1, "20"),
        (-10, "29"),
        (-100, "3863"),
        (-1000, "3903e7"),
        (-(2**63), "3b7fffffffffffffff"),
        (False, "f4"),
        (True, "f5"),
        (b"", "40"),
        (bytes.fromhex("01020304"), "4401020304"),
        ("", "60"),
        ("a", "6161"),
        ("IETF", "6449455446"),
        ('"\\', "62225c"),
        ("ü", "62c3bc"),
        ("水", "63e6b0b4"),
        ("𐅑", "64f0908591"),
        ([], "80"),
        ([1, 2, 3], "83010203"),
        ([1, [2, 3], [4, 5]], "8301820203820405"),
        ({}, "a0"),
        ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
        # The shorter name first, and no more than 24 in one byte's head.
        ({"aa": 1, "b": 2}, "a261620262616101"),
        (list(range(25)), "9819" + bytes(range(24)).hex() + "1818"),
    ],
)  # fmt: skip
def test_forms(value: Any, encoded: str) -> None:
    assert encode(value).hex() == encoded
    decoded = decode(bytes.fromhex(encoded))
    assert decoded == value
    assert type(decoded) is type(value)


@pytest.mark.parametrize(
    ("value", "as_if"),
    [
        ((1, 2), [1, 2]),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"abcd")[::2], b"ac"),
        (memoryview(b"abcd").cast("H"), b"abcd"),
        (Colour.RED, "red"),
        (Loud("quiet"), "quiet"),
        (Full(a=1), {"a": 1}),
    ],
)
def test_other_types(value: Any, as_if: Any) -> None:
    assert encode({"v": value}) == encode({"v": as_if})


def _nested(depth: int) -> Any:
    value: Any = 1
    for i in range(depth):
        value = [value] if i % 2 else {"a": value}
    return value


def _cycle() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


def _released() -> memoryview:
    view = memoryview(b"abc")
    view.release()
    return view


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "None"),
        (1.5, "float"),
        (float("nan"), "float"),
        (2**63, "64 bits"),
        (-(2**63) - 1, "64 bits"),
        (Number.ONE, "Number"),
        ("\ud800", "surrogate"),
        ({1: 2}, "name"),
        ({None: 2}, "name"),
        ({"\udfff": 2}, "name"),
        ({"a", "b"}, "set"),
        (object(), "object"),
        (lambda: 1, "function"),
        (int, "type"),
        (range(3), "range"),
        (1j, "complex"),
        (_cycle(), "nested"),
        (_nested(16), "nested"),
        (_released(), "released"),
        ("x" * MAX_MESSAGE, "longer"),
        ("ü" * (MAX_MESSAGE - 100), "longer"),
        (b"x" * MAX_MESSAGE, "longer"),
        ([1] * (MAX_MESSAGE + 1), "longer"),
        (["x" * 1000] * 1100, "longer"),
        ({str(i): 1 for i in range(200_000)}, "longer"),
    ],
)
def test_refused(value: Any, says: str) -> None:
    with pytest.raises(AgentAssertError, match=says) as refusal:
        encode({"v": value})
    assert refusal.value.code == "invalid_request"
    assert "request.v" in refusal.value.message or says == "name"


@pytest.mark.parametrize(
    "call",
    [
        lambda: encode({"private_key": "secret\ud800"}),
        lambda: encode({"a": [{"secret\ud800": 1}]}),
        lambda: decode(b"\x67secret\xff"),
        lambda: decode(b"\xa1\x67secret\xff\x00"),
    ],
)
def test_a_refusal_has_no_value(call: Callable[[], object]) -> None:
    with pytest.raises(AgentAssertError) as refusal:
        call()
    error: BaseException | None = refusal.value
    while error:
        assert "secret" not in repr(error)
        assert not hasattr(error, "object"), "Python's own error has the text"
        error = error.__cause__ or error.__context__


def test_size() -> None:
    head = len(encode({"v": "x" * (1 << 17)})) - (1 << 17)
    assert len(encode({"v": "x" * (MAX_MESSAGE - head)})) == MAX_MESSAGE
    with pytest.raises(AgentAssertError):
        encode({"v": "x" * (MAX_MESSAGE - head + 1)})
    with pytest.raises(AgentAssertError):
        decode(bytes(MAX_MESSAGE + 1))


def test_names_are_not_confused() -> None:
    """Maps with the same names in another order, and those whose order is remembered."""
    for _ in range(3):
        assert encode({"a": 1, "b": 2}) == encode({"b": 2, "a": 1})
        assert encode({"b": 1, "a": 2}) != encode({"a": 1, "b": 2})
    long = {"secret" * 20: 1}
    assert decode(encode(long)) == long


@pytest.mark.parametrize("message", MESSAGES[::7])
def test_vectors_come_back(message: bytes) -> None:
    assert encode(decode(message)) == message


def _value(rng: random.Random, depth: int) -> Any:
    """A value that messages can hold."""
    kind = rng.randrange(7 if depth < 6 else 4)
    if kind == 0:
        return rng.choice((1, -1)) * rng.getrandbits(rng.randrange(64))
    if kind == 1:
        return rng.randbytes(rng.choice((0, 1, 23, 24, 255, 256, 300)))
    if kind == 2:
        size = rng.choice((0, 1, 5, 23, 24, 90))
        return "".join(chr(rng.choice((0, 65, 0xE9, 0x6C34, 0xFEFF, 0x1F642))) for _ in range(size))
    if kind == 3:
        return rng.random() < 0.5
    if kind == 4:
        return [_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {
        "".join(rng.choice("abé") for _ in range(rng.randrange(5))): _value(rng, depth + 1)
        for _ in range(rng.randrange(5))
    }


def _mutated(rng: random.Random, item: bytes) -> bytes:
    """Bytes that are nearly those of an item."""
    data = bytearray(item)
    for _ in range(rng.randrange(1, 4)):
        kind = rng.randrange(5)
        at = rng.randrange(len(data)) if data else 0
        if kind == 0 and data:
            data[at] = rng.randrange(256)
        elif kind == 1 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 2 and data:
            del data[at : at + rng.randrange(1, 4)]
        elif kind == 3:
            # A head, of any type and size.
            data[at:at] = bytes([rng.randrange(256)]) + bytes(rng.randrange(9))
        else:
            at, to = sorted((at, rng.randrange(len(data) + 1)))
            data += data[at:to]
    return bytes(data)


# A request for no method: the core says whether it could read it, and then that it has no such method.
_PREFIX = bytes.fromhex("a2") + b"\x66method\x61x" + b"\x66params"


def _core_reads(core: AgentAssert, item: bytes) -> bool:
    error = decode(core.exchange(_PREFIX + item))["error"]
    assert error["code"] in ("unknown_method", "invalid_request")
    return bool(error["code"] == "unknown_method")


def _we_read(item: bytes) -> bool:
    message = _PREFIX + item
    try:
        value = decode(message)
    except AgentAssertError as e:
        if e.code != "sandbox_failed":
            raise
        return False
    assert encode(value) == message, "it has another encoding"
    return True


def test_reads_what_the_core_reads(core: AgentAssert) -> None:
    rng = random.Random(1)
    taken = 0
    for i in range(ROUNDS):
        item = bytes(encode(_value(rng, 0))) if i % 2 else rng.choice(MESSAGES)[: rng.choice((40, 4096))]
        if i % 5:
            item = _mutated(rng, item)
        reads = _core_reads(core, item)
        assert _we_read(item) == reads, item.hex()
        taken += reads
    assert ROUNDS // 10 < taken < ROUNDS * 9 // 10, "hardly anything was taken, or refused"


@pytest.mark.parametrize("depth", range(13, 20))
def test_depth(core: AgentAssert, depth: int) -> None:
    for item in (
        b"\x81" * depth + b"\x01",
        b"\xa1\x61a" * depth + b"\x01",
    ):
        assert _we_read(item) == _core_reads(core, item)


@pytest.mark.parametrize(
    "item",
    [
        "f6", "f7", "e0", "f0", "f818", "f90000", "fa00000000", "fb0000000000000000",  # simple values, floats
        "c0", "c101", "d81800",  # tags
        "1800", "1817", "1900ff", "1a0000ffff", "1b00000000ffffffff", "3817", "5817", "5801", "7801",
        "9800", "b800",
        "1b8000000000000000", "3b8000000000000000", "1bffffffffffffffff",  # beyond 64 bits
        "5f4100ff", "7f6161ff", "9f01ff", "bf616101ff", "1c", "3d", "5e", "7c", "9d", "be",  # indefinite
        "a2616101616102", "a2616201616101", "a26261610161620a", "a10101", "a1410101", "a1f401",  # names
        "61ff", "62c080", "63eda080", "64f4908080", "61c3", "62c3",  # not UTF-8
        "9affffffff", "9bffffffffffffffff", "baffffffff", "5affffffff", "7bffffffffffffffff",  # counts
        "", "18", "19ff", "41", "81", "a1", "a16161", "0000", "01a0",
    ],
)  # fmt: skip
def test_refuses_what_the_core_refuses(core: AgentAssert, item: str) -> None:
    assert not _core_reads(core, bytes.fromhex(item))
    assert not _we_read(bytes.fromhex(item))


def test_the_core_answers_whatever_it_is_sent(core: AgentAssert) -> None:
    rng = random.Random(2)
    for _ in range(ROUNDS // 3):
        message = bytearray(rng.choice(MESSAGES))
        message[rng.randrange(len(message))] = rng.randrange(256)
        assert decode(core.exchange(message)).keys() <= {"ok", "error"}
