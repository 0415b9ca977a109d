"""Keys, signatures, boxes and encodings that owe nothing to agentassert.

Ed25519 and X25519 come from libsodium (PyNaCl) and are checked against OpenSSL
(cryptography), dates from datetime, JSON from json. What neither library does,
the curve arithmetic behind hostile keys, is in curve.py.
"""

import base64
import datetime
import functools
import hashlib
import json

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from nacl import bindings, exceptions

# The first and the last second that RFC 3339 can write.
MIN_TIME = -62167219200
MAX_TIME = 253402300799


def b64(data):
    """Return base64 in the standard alphabet, padded."""
    return base64.b64encode(data).decode()


def b64url(data):
    """Return base64 in the URL alphabet, without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text):
    """Undo b64."""
    return base64.b64decode(text, validate=True)


def unb64url(text):
    """Undo b64url."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


STANDARD_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def in_url_alphabet(text):
    """Return base64, which must hold + or /, with - and _ in their place."""
    result = text.replace("+", "-").replace("/", "_")
    assert result != text
    return result


def with_trailing_bits(text):
    """Return base64 whose last character holds a bit that belongs to no byte."""
    bare = text.rstrip("=")
    assert len(bare) % 4 > 1
    last = STANDARD_ALPHABET.index(bare[-1].translate({ord("-"): "+", ord("_"): "/"}))
    assert last % 4 == 0
    return bare[:-1] + STANDARD_ALPHABET[last + 1] + text[len(bare) :]


def compact(value):
    """Return value as compact JSON.

    json.dumps escapes what the protocol says, and as it says: quotes, backslashes
    and the control characters below U+0020, five of these with a letter, the rest
    in lower-case hexadecimal.
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


EPOCH = datetime.datetime(1970, 1, 1)
# datetime has no year 0, but the calendar repeats every 400 years.
CYCLE = 146097 * 86400


def timestamp(unix):
    """Return RFC 3339, UTC, whole seconds, of a Unix time in the years 0 to 9999."""
    if unix >= MIN_TIME + 366 * 86400:
        moment = EPOCH + datetime.timedelta(seconds=unix)
        return moment.isoformat() + "Z"
    moment = EPOCH + datetime.timedelta(seconds=unix + CYCLE)
    assert moment.year == 400
    return "0000" + moment.isoformat()[4:] + "Z"


def unix_time(text):
    """Undo timestamp, from year 1 on."""
    moment = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    return int((moment - EPOCH).total_seconds())


def verifies(public, message, signature):
    """Say whether an Ed25519 signature is good, if libsodium and OpenSSL agree."""
    try:
        bindings.crypto_sign_open(signature + message, public)
        libsodium = True
    except exceptions.BadSignatureError:
        libsodium = False
    try:
        key = ed25519.Ed25519PublicKey.from_public_bytes(public)
        key.verify(signature, message)
        openssl = True
    except InvalidSignature:
        openssl = False
    assert libsodium == openssl, "libsodium and OpenSSL disagree"
    return libsodium


def openssh(public):
    """Return 32 bytes as a public key in OpenSSH form, valid or not."""
    blob = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20" + public
    return "ssh-ed25519 " + b64(blob)


class Key:
    """An Ed25519 key pair."""

    def __init__(self, seed):
        self.seed = seed
        self.public, self._secret = bindings.crypto_sign_seed_keypair(seed)
        self._openssl = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
        assert self._openssl.public_key().public_bytes_raw() == self.public

    def sign(self, message):
        """Return the signature of message: bytes, or text in UTF-8."""
        if isinstance(message, str):
            message = message.encode()
        signature = bindings.crypto_sign(message, self._secret)[:64]
        assert signature == self._openssl.sign(message)
        return signature

    @functools.cached_property
    def der_v1(self):
        """PKCS#8, version 1, by OpenSSL."""
        der = self._openssl.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        assert der.hex() == "302e020100300506032b657004220420" + self.seed.hex()
        return der

    @functools.cached_property
    def der_v2(self):
        """PKCS#8, version 2, which OpenSSL does not write.

        It is version 1 with another version number and length, and the public key
        as context-specific, primitive element 1, a bit string without unused bits.
        """
        v1 = self.der_v1
        public = bytes([0x81, 1 + len(self.public), 0]) + self.public
        content = b"\x02\x01\x01" + v1[5:] + public
        return bytes([0x30, len(content)]) + content

    @property
    def stored(self):
        """The private key as it is stored: base64 of PKCS#8, version 2."""
        return b64(self.der_v2)

    @functools.cached_property
    def openssh(self):
        """The public key in OpenSSH form, by OpenSSL, and the protocol page."""
        by_openssl = self._openssl.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        assert by_openssl.decode() == openssh(self.public)
        return openssh(self.public)

    @functools.cached_property
    def x25519_public(self):
        """The X25519 public key that belongs to this key, by libsodium."""
        return bindings.crypto_sign_ed25519_pk_to_curve25519(self.public)

    @functools.cached_property
    def x25519_secret(self):
        """The X25519 secret key, by the protocol page and by libsodium."""
        secret = bytearray(hashlib.sha512(self.seed).digest()[:32])
        secret[0] &= 0xF8
        secret[31] = secret[31] & 0x7F | 0x40
        by_libsodium = bindings.crypto_sign_ed25519_sk_to_curve25519(self._secret)
        assert bytes(secret) == by_libsodium
        assert bindings.crypto_scalarmult_base(bytes(secret)) == self.x25519_public
        return bytes(secret)

    def registration_proof(self, runtime_id, unix):
        """Return the signature and timestamp that register a task."""
        time = timestamp(unix)
        signature = self.sign(f"{runtime_id}:{time}")
        return {"signature": b64(signature), "timestamp": time}

    def envelope(self, runtime_id, task_id, unix):
        """Return the members of an assertion, in their order."""
        time = timestamp(unix)
        return {
            "agent_runtime_id": runtime_id,
            "signature": b64(self.sign(f"{runtime_id}:{task_id}:{time}")),
            "task_id": task_id,
            "timestamp": time,
        }

    def assertion(self, runtime_id, task_id, unix):
        """Return the value of the Authorization header."""
        return header(compact(self.envelope(runtime_id, task_id, unix)))

    def seal(self, ephemeral, task_id):
        """Return base64 of the sealed box that this ephemeral secret makes.

        libsodium's crypto_box_seal draws the ephemeral key itself; its
        crypto_box_seal_open says whether this is the same construction.
        """
        plain = task_id if isinstance(task_id, bytes) else task_id.encode()
        public = bindings.crypto_scalarmult_base(ephemeral)
        nonce = self.seal_nonce(public)
        box = bindings.crypto_box(plain, nonce, self.x25519_public, ephemeral)
        assert self.unseal(public + box) == plain
        return b64(public + box)

    def seal_nonce(self, ephemeral_public):
        """Return the nonce of a sealed box."""
        both = ephemeral_public + self.x25519_public
        return hashlib.blake2b(both, digest_size=24).digest()

    def unseal(self, box):
        """Return what libsodium finds in a sealed box, or None."""
        try:
            return bindings.crypto_box_seal_open(
                box, self.x25519_public, self.x25519_secret
            )
        except (exceptions.CryptoError, TypeError):
            return None


def header(envelope):
    """Return the Authorization header with an envelope: bytes, or text in UTF-8."""
    if isinstance(envelope, str):
        envelope = envelope.encode()
    return "AgentAssertion " + b64url(envelope)
