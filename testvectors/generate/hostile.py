"""Keys and signatures that no honest library makes."""

import base64
import hashlib

import captured
import curve
from fixtures import KEY
from primitives import b64, in_url_alphabet, openssh, verifies


def challenge(r, public, message):
    """Return the number that a signature multiplies the key with."""
    digest = hashlib.sha512(r + public + message).digest()
    return int.from_bytes(digest, "little") % curve.L


def signed_text(envelope):
    """Return what an assertion signs."""
    names = ["agent_runtime_id", "task_id", "timestamp"]
    return ":".join(envelope[name] for name in names).encode()


def flip(data, at):
    """Return data with one bit changed."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def unreduced(signature):
    """Return a signature with S + L in place of S."""
    s = int.from_bytes(signature[32:], "little") + curve.L
    return signature[:32] + s.to_bytes(32, "little")


def negated(signature):
    """Return a signature with -R and -S."""
    s = curve.L - int.from_bytes(signature[32:], "little")
    return signature[:31] + bytes([signature[31] ^ 0x80]) + s.to_bytes(32, "little")


class Forgery:
    """A key's owner who signs with the neutral point for R, in some encoding."""

    def __init__(self, key, r):
        self.r, self.public = r, key.public
        self.scalar = int.from_bytes(key.x25519_secret, "little")

    def sign(self, envelope):
        """Return a signature of the envelope's members."""
        k = challenge(self.r, self.public, signed_text(envelope))
        return self.r + (k * self.scalar % curve.L).to_bytes(32, "little")

    @staticmethod
    def for_everything():
        """Return a signature that holds for any text under the neutral point."""
        return curve.encode(curve.IDENTITY) + bytes(32)


def mixed_order(divisible):
    """Return a key outside of the main subgroup, and an envelope that it signed.

    Its signatures satisfy the equation with the cofactor. The one without holds
    only where the challenge is divisible by 8: then there is nothing to refuse.
    """
    scalar = int.from_bytes(KEY.x25519_secret, "little")
    point = curve.add(curve.multiply(scalar, curve.BASE), curve.TORSION)
    public = curve.encode(point)
    nonce = 4  # nobody's secret
    r = curve.encode(curve.multiply(nonce, curve.BASE))
    number = 0
    while True:
        envelope = {
            "agent_runtime_id": captured.RUNTIME_ID,
            "signature": "",
            "task_id": f"task-{number}",
            "timestamp": captured.IDENTITY["registered_at"],
        }
        message = signed_text(envelope)
        k = challenge(r, public, message)
        if (k % 8 == 0) == divisible:
            s = (nonce + k * scalar) % curve.L
            signature = r + s.to_bytes(32, "little")
            assert verifies(public, message, signature) == divisible
            envelope["signature"] = b64(signature)
            return public, envelope
        number += 1


def _public_keys():
    """Yield (name, comment, OpenSSH form) of public keys that are refused."""
    orders = [1, 8, 4, 8, 2, 8, 4, 8]
    for n, (order, point) in enumerate(zip(orders, curve.SMALL_ORDER, strict=True)):
        yield (
            f"small-order-{n}",
            f"a point of order {order}: anybody can make its signatures",
            openssh(curve.encode(point)),
        )
    for name, y, sign in [
        ("minus-zero", 1, 1),
        ("minus-zero-of-order-2", curve.P - 1, 1),
        ("identity-plus-p", curve.P + 1, 0),
        ("identity-plus-p-minus-zero", curve.P + 1, 1),
        ("order-4-plus-p", curve.P, 0),
        ("order-4-plus-p-negative", curve.P, 1),
    ]:
        yield (
            f"small-order-{name}",
            "another encoding of a point of small order",
            openssh(curve.encode_raw(y, sign)),
        )
    for y in range(2, 19):
        x = curve.recover_x(y)
        if x is None or curve.multiply(8, (x, y)) == curve.IDENTITY:
            continue
        for name, sign in [("even", 0), ("odd", 1)]:
            yield (
                f"y-{y}-plus-p-{name}",
                f"y = {y} as {y} + p: two encodings of one key",
                openssh(curve.encode_raw(curve.P + y, sign)),
            )
    off_curve = [y for y in range(2, 19) if curve.recover_x(y) is None]
    yield (
        "off-curve",
        f"no point of the curve has y = {off_curve[0]}",
        openssh(curve.encode_raw(off_curve[0], 0)),
    )
    yield (
        "off-curve-plus-p",
        f"nor {off_curve[1]}, written as {off_curve[1]} + p",
        openssh(curve.encode_raw(curve.P + off_curve[1], 0)),
    )

    good = KEY.openssh
    kind, encoded = good.split(" ")
    blob = base64.b64decode(encoded)
    yield "empty", "no key", ""
    yield "type-alone", "a type, and no key", "ssh-ed25519"
    yield "type-and-space", "a type, and an empty key", "ssh-ed25519 "
    yield "without-type", "base64 without the type before it", encoded
    yield "other-type", "another type", "ssh-rsa " + encoded
    yield (
        "type-in-other-case",
        "types are compared as they are",
        kind.upper() + " " + encoded,
    )
    yield "two-spaces", "two spaces after the type", f"{kind}  {encoded}"
    yield "tab", "a tab after the type", f"{kind}\t{encoded}"
    yield "space-before", "a space before the type", " " + good
    yield "space-after", "a space after the key", good + " "
    yield "newline-after", "a line feed after the key", good + "\n"
    yield "comment", "keys are sent without a comment", good + " agent@example.com"
    long = blob + bytes(2)
    assert b64(long).endswith("=")
    yield "unpadded", "base64 without its padding", f"{kind} {b64(long).rstrip('=')}"
    yield "padding-alone", "padding that base64 has nowhere", good + "===="
    yield (
        "url-alphabet",
        "base64 in the URL alphabet",
        f"{kind} {in_url_alphabet(encoded)}",
    )
    yield "newline-inside", "base64 in two lines", f"{good[:40]}\n{good[40:]}"
    yield "raw-key", "the 32 bytes alone", f"{kind} {b64(KEY.public)}"
    yield "31-bytes", "a byte is missing", f"{kind} {b64(blob[:-1])}"
    yield "33-bytes", "a byte too many", f"{kind} {b64(blob + b'x')}"
    yield (
        "inner-type",
        "the type inside the base64 is another",
        f"{kind} {b64(blob.replace(b'ssh-ed25519', b'ssh-ed25518'))}",
    )
    yield (
        "inner-type-length",
        "the type's length is wrong",
        f"{kind} {b64(bytes([0, 0, 0, 12]) + blob[4:])}",
    )
    yield (
        "inner-key-length",
        "the key's length is wrong",
        f"{kind} {b64(blob[:18] + bytes([31]) + blob[19:])}",
    )
    yield "pem", "another format", "-----BEGIN PUBLIC KEY-----"


PUBLIC_KEYS = list(_public_keys())
