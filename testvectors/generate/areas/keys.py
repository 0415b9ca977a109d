"""Keys: from a seed, and from and to PKCS#8."""

import hashlib

import captured
from fixtures import KEY, RFC_8032_KEYS
from primitives import Key, b64, in_url_alphabet, with_trailing_bits
from vectors import call, capture, hexadecimal, protocol

PUBLIC_BY = "public key by libsodium and OpenSSL; PKCS#8 version 1 by OpenSSL"


def pair(key):
    """Return the result of both methods."""
    return {"private_key": key.stored, "public_key": key.openssh}


def generate():
    """Yield the vectors of key.generate."""

    def vector(name, comment, source, entropy, **expected):
        params = {"entropy": hexadecimal(entropy)}
        return call(name, comment, source, "key.generate", params, **expected)

    for name, key in RFC_8032_KEYS.items():
        yield vector(
            f"generate-rfc-8032-{name}",
            f"the key pair of {name} in RFC 8032, section 7.1",
            f"RFC 8032, section 7.1; {PUBLIC_BY}",
            key.seed,
            ok=pair(key),
        )
    yield vector(
        "generate-captured",
        "the key that the real client made",
        capture("enabled.auth.json"),
        KEY.seed,
        ok={
            "private_key": captured.IDENTITY["agent_private_key"],
            "public_key": KEY.openssh,
        },
    )
    for name, byte in [("zero", 0), ("ff", 255)]:
        yield vector(
            f"generate-all-{name}-seed",
            f"every seed is a key, even 32 bytes {byte:#04x}",
            PUBLIC_BY,
            bytes([byte]) * 32,
            ok=pair(Key(bytes([byte]) * 32)),
        )
    for size in [0, 16, 31, 33, 64]:
        yield vector(
            f"generate-{size}-bytes-refused",
            f"{size} bytes are no seed",
            protocol("Key"),
            bytes(size),
            error="invalid_entropy",
        )

    # As clients of another profile do it.
    def other(name, comment, source, profile, entropy, **expected):
        params = {"entropy": hexadecimal(entropy), "profile": profile}
        return call(name, comment, source, "key.generate", params, **expected)

    for name, entropy in [
        ("counted", bytes(range(64))),
        ("zero", bytes(64)),
        ("ff", b"\xff" * 64),
    ]:
        text = b"codex-agent-identity-ed25519-v1" + entropy
        key = Key(hashlib.sha512(text).digest()[:32])
        yield other(
            f"generate-auth-api-{name}",
            "the first half of SHA-512 of a name and 64 bytes",
            f"SHA-512 by Python's hashlib; {PUBLIC_BY}",
            "auth-api",
            entropy,
            ok=pair(key),
        )
    for size in [0, 32, 63, 65]:
        yield other(
            f"generate-auth-api-{size}-bytes-refused",
            "64 bytes make a key",
            protocol("Later clients, auth-api"),
            "auth-api",
            bytes(size),
            error="invalid_entropy",
        )
    yield other(
        "generate-instances",
        "a runtime agent instance's: the seed",
        PUBLIC_BY,
        "instances",
        KEY.seed,
        ok=pair(KEY),
    )
    yield other(
        "generate-instances-64-bytes-refused",
        "the seed has 32",
        protocol("Key"),
        "instances",
        bytes(64),
        error="invalid_entropy",
    )
    yield other(
        "generate-unknown-profile-refused",
        "there is no such profile",
        protocol("Later clients"),
        "biscuit",
        bytes(32),
        error="invalid_config",
    )


def parse():
    """Yield the vectors of key.parse."""

    def vector(name, comment, source, private_key, **expected):
        params = {"private_key": private_key}
        return call(name, comment, source, "key.parse", params, **expected)

    for name, key in [("captured", KEY), *RFC_8032_KEYS.items()]:
        yield vector(
            f"parse-version-2-{name}",
            "version 2, with the public key, is what the real client stores",
            PUBLIC_BY if key is not KEY else capture("enabled.auth.json"),
            b64(key.der_v2),
            ok=pair(key),
        )
        yield vector(
            f"parse-version-1-{name}",
            "version 1 is read, and comes back as version 2",
            PUBLIC_BY,
            b64(key.der_v1),
            ok=pair(key),
        )

    v1, v2 = KEY.der_v1, KEY.der_v2
    flipped = v2[:-1] + bytes([v2[-1] ^ 1])
    other = v2[:-32] + RFC_8032_KEYS["test-1"].public
    attributes = b"\xa0\x00"
    refused = [
        ("empty", "no key at all", ""),
        ("not-base64", "not base64", "not a key!"),
        ("pem", "PEM armour", f"-----BEGIN PRIVATE KEY-----\n{b64(v1)}\n"),
        ("unpadded", "base64 without its padding", b64(v2).rstrip("=")),
        ("padded-twice", "base64 with more padding than it needs", b64(v1) + "===="),
        ("url-alphabet", "base64 in the URL alphabet", in_url_alphabet(b64(v2))),
        ("newline-inside", "base64 in two lines", f"{b64(v1)[:40]}\n{b64(v1)[40:]}"),
        ("newline-after", "a line feed after the base64", b64(v1) + "\n"),
        ("space-before", "a space before the base64", " " + b64(v1)),
        (
            "trailing-bits",
            "base64 whose last character holds bits that belong to no byte",
            with_trailing_bits(b64(v2)),
        ),
        ("seed-alone", "the 32 bytes of the seed without PKCS#8", b64(KEY.seed)),
        (
            "seed-and-public",
            "the 64 bytes that many libraries call the secret key",
            b64(KEY.seed + KEY.public),
        ),
        ("version-1-truncated", "a byte is missing", b64(v1[:-1])),
        ("version-1-trailing-byte", "a byte too many", b64(v1 + b"\0")),
        ("version-2-truncated", "a byte is missing", b64(v2[:-1])),
        ("version-2-trailing-byte", "a byte too many", b64(v2 + b"\0")),
        (
            "version-2-flipped-public",
            "the public key has one other bit, and does not belong to the seed",
            b64(flipped),
        ),
        (
            "version-2-other-public",
            "the public key is valid, and belongs to another seed",
            b64(other),
        ),
        (
            "version-1-with-public",
            "a public key needs version 2",
            b64(v2[:4] + b"\x00" + v2[5:]),
        ),
        (
            "version-2-without-public",
            "version 2 of the length of version 1",
            b64(v1[:4] + b"\x01" + v1[5:]),
        ),
        (
            "version-2-with-attributes",
            "attributes, even an empty set of them, are in no agent's key",
            b64(bytes([v1[0], v1[1] + 2]) + v1[2:] + attributes),
        ),
        (
            "x25519",
            "the object identifier is that of X25519, one less than Ed25519's",
            b64(v1[:11] + b"\x6e" + v1[12:]),
        ),
        (
            "long-form-length",
            "a DER length in more bytes than it needs",
            b64(b"\x30\x81" + v1[1:]),
        ),
        (
            "unused-bits",
            "a public key that says one of its bits is unused",
            b64(v2[:50] + b"\x01" + v2[51:]),
        ),
    ]
    for name, comment, private_key in refused:
        yield vector(
            f"parse-{name}-refused",
            comment,
            protocol("Key"),
            private_key,
            error="invalid_private_key",
        )


def vectors():
    """Return the vectors of keys.json."""
    return [*generate(), *parse()]
