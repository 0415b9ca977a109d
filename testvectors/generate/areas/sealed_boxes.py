"""task_id.open and task_id.seal: task ids in libsodium's sealed boxes."""

from nacl import bindings

import captured
import curve
from areas.assertions import BAD_IDS, IDS
from fixtures import KEY, OTHER_KEY, RFC_8032_KEYS
from hostile import PUBLIC_KEYS, flip
from hsalsa20 import hsalsa20
from primitives import b64, in_url_alphabet, unb64, with_trailing_bits
from vectors import call, capture, hexadecimal, protocol

BY = "crypto_box with the ephemeral key by libsodium; opened by crypto_box_seal_open"
RANDOM_BY = "crypto_box_seal by libsodium, once, with an ephemeral key nobody kept"

# 32 bytes that are nobody's secret.
EPHEMERAL = bytes(range(32))

# Boxes that libsodium's crypto_box_seal made for KEY, and what is in them.
RANDOM_BOXES = [
    (
        "task-random-1",
        (
            "5mBCbspLR4mJ6/J3IUveh6VoBGMrfhoQmORamQzTWTOSyoBXwx85mYj6tAXrOBNxdTi1OgZfM02+"
            "BagdrA=="
        ),
    ),
    (
        "tâche-œ-2",
        (
            "qRlttWxjf280zKhTFOItvCw3WCJ55JBFcWtUViv8LnlRmR4VZ8s2PCdv0972l4M9YBl4TmKWRJe0"
            "uZE="
        ),
    ),
    (
        "任务-🦀-3",
        (
            "yCsrN7qVeC948DTzJnzO+L1fM09i/ZLQWWjWKo6Qbm+ScSU1LyaaG4EGDkA4v6eeIpkyxDEq7qS6"
            "QoqIMA=="
        ),
    ),
]


def open_():
    """Yield the vectors of task_id.open."""

    def vector(name, comment, source, sealed, expected, private_key=KEY.stored):
        params = {"private_key": private_key, "encrypted_task_id": sealed}
        return call(f"open-{name}", comment, source, "task_id.open", params, **expected)

    def opens(name, comment, source, sealed, task_id, key=KEY):
        assert key.unseal(unb64(sealed)) == task_id.encode()
        expected = {"ok": {"task_id": task_id}}
        return vector(name, comment, source, sealed, expected, key.stored)

    def refused(name, comment, source, sealed, error="invalid_sealed_task_id"):
        return vector(f"{name}-refused", comment, source, sealed, {"error": error})

    for name, line in [("background", 5), ("thread", 10)]:
        body = captured.ENABLED[line]["response"]
        yield opens(
            f"captured-{name}",
            f"the box with the {name} task that the real client opened",
            capture("enabled.jsonl", line),
            body["body"]["encrypted_task_id"],
            body["plain_task"],
        )
    for n, (task_id, sealed) in enumerate(RANDOM_BOXES, 1):
        yield opens(
            f"random-{n}", "a box as it is made in earnest", RANDOM_BY, sealed, task_id
        )
    for name, key in RFC_8032_KEYS.items():
        yield opens(
            f"rfc-8032-{name}",
            f"a box for the key of {name} in RFC 8032, section 7.1",
            BY,
            key.seal(EPHEMERAL, "task-4"),
            "task-4",
            key,
        )
    for name, text, comment in IDS:
        yield opens(f"task-id-{name}", comment, BY, KEY.seal(EPHEMERAL, text), text)
    for size in [31, 32, 33, 63, 64, 65]:
        text = "x" * size
        yield opens(
            f"{size}-bytes",
            "sizes at the edges of the cipher's blocks",
            BY,
            KEY.seal(EPHEMERAL, text),
            text,
        )

    high = bytearray(bindings.crypto_scalarmult_base(EPHEMERAL))
    high[31] |= 0x80
    box = bindings.crypto_box(
        b"task-4", KEY.seal_nonce(bytes(high)), KEY.x25519_public, EPHEMERAL
    )
    yield opens(
        "unused-bit",
        "the ephemeral key's unused bit is set: X25519 ignores it, the nonce does not",
        BY,
        b64(bytes(high) + box),
        "task-4",
    )

    good = unb64(KEY.seal(EPHEMERAL, "task-4"))
    assert len(good) == 54
    refused_by = "refused by libsodium's crypto_box_seal_open"

    def damaged(name, comment, box):
        assert KEY.unseal(box) is None
        return refused(name, comment, refused_by, b64(box))

    for size in [1, 31, 32, 47, 48, 53]:
        yield damaged(f"truncated-{size}", f"the first {size} bytes", good[:size])
    yield damaged("trailing-byte", "a byte too many", good + b"\0")
    yield damaged("without-first-byte", "all but the first byte", good[1:])
    for name, at in [
        ("ephemeral-key", 0),
        ("tag", 32),
        ("tag-end", 47),
        ("text", 48),
        ("text-end", 53),
    ]:
        yield damaged(f"flipped-bit-in-{name}", "one other bit", flip(good, at))
    yield damaged("zeros", "54 bytes 0", bytes(54))
    other_nonce = bytes(24)
    yield damaged(
        "zero-nonce",
        "a box with the right keys and another nonce",
        good[:32]
        + bindings.crypto_box(b"task-4", other_nonce, KEY.x25519_public, EPHEMERAL),
    )
    for n, point in enumerate(small_order()):
        yield damaged(
            f"small-order-ephemeral-key-{n}",
            "the ephemeral key is of small order, so that the shared secret is zero, "
            "and the rest of the box right for that",
            zero_secret_box(point, b"task-4"),
        )
    yield damaged(
        "other-key",
        "a box for another agent",
        unb64(OTHER_KEY.seal(EPHEMERAL, "task-4")),
    )

    text = b64(good)
    standard = KEY.seal(bytes(31) + b"\x02", "task-4")
    two_more = KEY.seal(EPHEMERAL, "task-44")
    for name, comment, sealed in [
        ("empty", "no box", ""),
        ("not-base64", "not base64", "not a box!"),
        ("unpadded", "base64 without its padding", two_more.rstrip("=")),
        ("padding-alone", "padding that base64 has nowhere", text + "===="),
        ("url-alphabet", "base64 in the URL alphabet", in_url_alphabet(standard)),
        (
            "trailing-bits",
            "the last character holds bits that belong to no byte",
            with_trailing_bits(two_more),
        ),
        ("newline-inside", "base64 in two lines", f"{text[:40]}\n{text[40:]}"),
        ("newline-after", "a line feed after the base64", text + "\n"),
        ("space-before", "a space before the base64", " " + text),
        ("plain", "the task id in the clear", "task-4"),
    ]:
        yield refused(name, comment, protocol("Sealed task id"), sealed)

    for name, plain, comment in BAD_IDS:
        yield refused(
            f"task-id-{name}",
            f"the box opens, and holds what no assertion may: {comment}",
            BY,
            KEY.seal(EPHEMERAL, plain),
            "invalid_task_id",
        )
    for name, plain in [
        ("latin-1", "café".encode("latin-1")),
        ("truncated-utf-8", "café".encode()[:-1]),
        ("surrogate", b"\xed\xa0\x80"),
    ]:
        yield refused(
            f"{name}",
            "the box opens, and holds what is not UTF-8",
            BY,
            KEY.seal(EPHEMERAL, plain),
            "invalid_task_id",
        )
    yield vector(
        "damaged-key-refused",
        "the key is read as key.parse reads it",
        protocol("Key"),
        text,
        {"error": "invalid_private_key"},
        KEY.stored[:-4],
    )


def small_order():
    """Return the points of small order as X25519 writes them, u = (1 + y) / (1 - y)."""
    points = {0}
    for _, y in curve.SMALL_ORDER[1:]:
        points.add((1 + y) * pow(1 - y, -1, curve.P) % curve.P)
    points.add(curve.P - 1)  # on the twist
    assert len(points) == 5
    return [u.to_bytes(32, "little") for u in sorted(points)]


def zero_secret_box(ephemeral_public, plain):
    """Return the box that KEY would open if it took a shared secret of zero."""
    secret = bindings.crypto_scalarmult(EPHEMERAL, OTHER_KEY.x25519_public)
    checked = bindings.crypto_box_beforenm(OTHER_KEY.x25519_public, EPHEMERAL)
    assert hsalsa20(secret) == checked
    nonce = KEY.seal_nonce(ephemeral_public)
    box = bindings.crypto_box_afternm(plain, nonce, hsalsa20(bytes(32)))
    return ephemeral_public + box


def seal():
    """Yield the vectors of task_id.seal."""

    def vector(name, comment, source, key, entropy, task_id, **expected):
        params = {
            "public_key": key if isinstance(key, str) else key.openssh,
            "entropy": hexadecimal(entropy),
            "task_id": task_id,
        }
        if not expected:
            sealed = key.seal(entropy, task_id)
            expected = {"ok": {"encrypted_task_id": sealed}}
        return call(f"seal-{name}", comment, source, "task_id.seal", params, **expected)

    for name, key in [("captured", KEY), *RFC_8032_KEYS.items()]:
        yield vector(
            f"for-{name}",
            "the ephemeral secret makes the box what it is",
            BY,
            key,
            EPHEMERAL,
            "task-4",
        )
    for name, entropy in [
        ("zero", bytes(32)),
        ("ff", b"\xff" * 32),
        ("clamped", b"\x07" + bytes(31)),
    ]:
        yield vector(
            f"entropy-{name}",
            "X25519 clamps the ephemeral secret: any 32 bytes will do",
            BY,
            KEY,
            entropy,
            "task-4",
        )
    for name, text, comment in IDS:
        yield vector(f"task-id-{name}", comment, BY, KEY, EPHEMERAL, text)
    for name, text, comment in BAD_IDS:
        yield vector(
            f"task-id-{name}-refused",
            comment,
            protocol("Assertion"),
            KEY,
            EPHEMERAL,
            text,
            error="invalid_task_id",
        )
    for size in [0, 31, 33]:
        yield vector(
            f"{size}-bytes-of-entropy-refused",
            f"{size} bytes are no ephemeral secret",
            protocol("Sealed task id"),
            KEY,
            bytes(size),
            "task-4",
            error="invalid_entropy",
        )
    for name, comment, public_key in PUBLIC_KEYS:
        if name.startswith("small-order") or name in ["empty", "comment", "off-curve"]:
            yield vector(
                f"public-key-{name}-refused",
                comment,
                protocol("Key"),
                public_key,
                EPHEMERAL,
                "task-4",
                error="invalid_public_key",
            )


def vectors():
    """Return the vectors of sealed-boxes.json."""
    return [*open_(), *seal()]
