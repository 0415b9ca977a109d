"""Keys in the forms that others have. The forms come from the package cryptography, and from RFCs."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agentassert import AgentAssert, AgentAssertError, KeyPair

OTHERS = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SEED = OTHERS.private_bytes_raw()
PUBLIC = OTHERS.public_key().public_bytes_raw()
RFC_8037 = {
    "kty": "OKP",
    "crv": "Ed25519",
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}


def private(encoding: str, form: str) -> bytes:
    return OTHERS.private_bytes(
        getattr(serialization.Encoding, encoding),
        getattr(serialization.PrivateFormat, form),
        serialization.NoEncryption(),
    )


def public(encoding: str, form: str) -> bytes:
    return OTHERS.public_key().public_bytes(
        getattr(serialization.Encoding, encoding), getattr(serialization.PublicFormat, form)
    )


def url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


JWK: dict[str, Any] = {"kty": "OKP", "crv": "Ed25519", "x": url(PUBLIC), "d": url(SEED)}
PUBLIC_JWK = {name: value for name, value in JWK.items() if name != "d"}


@pytest.fixture
def core(engine: str) -> Iterator[AgentAssert]:
    with AgentAssert.load(engine=engine) as loaded:
        yield loaded


@pytest.fixture
def key(core: AgentAssert) -> KeyPair:
    return core.generate_key(entropy=SEED)


PRIVATE_FORMS: dict[str, Any] = {
    "PEM": private("PEM", "PKCS8").decode(),
    "a file with PEM": private("PEM", "PKCS8"),
    "DER": private("DER", "PKCS8"),
    "a bytearray": bytearray(private("DER", "PKCS8")),
    "base64": base64.b64encode(private("DER", "PKCS8")).decode(),
    "OpenSSH": private("PEM", "OpenSSH").decode(),
    "a JWK": JWK | {"kid": "a", "key_ops": ["sign"], "ext": True},
    "a JWK as text": json.dumps(JWK),
    "a seed": SEED,
    "hexadecimal": SEED.hex(),
    "a secret key of libsodium": SEED + PUBLIC,
}


@pytest.mark.parametrize("form", PRIVATE_FORMS)
def test_private_keys(core: AgentAssert, key: KeyPair, form: str) -> None:
    assert core.import_key(PRIVATE_FORMS[form]) == key


PUBLIC_FORMS: dict[str, Any] = {
    "OpenSSH": public("OpenSSH", "OpenSSH").decode() + " me@here",
    "a file": public("OpenSSH", "OpenSSH") + b"\n",
    "PEM": public("PEM", "SubjectPublicKeyInfo").decode(),
    "DER": public("DER", "SubjectPublicKeyInfo"),
    "a JWK": PUBLIC_JWK,
    "32 bytes": PUBLIC,
    "hexadecimal": PUBLIC.hex(),
}


@pytest.mark.parametrize("form", PUBLIC_FORMS)
def test_public_keys(core: AgentAssert, key: KeyPair, form: str) -> None:
    assert core.import_public_key(PUBLIC_FORMS[form]) == key.public_key


def test_exports(core: AgentAssert, key: KeyPair) -> None:
    assert core.export_key(key.private_key, format="pem").encode() == private("PEM", "PKCS8")
    v1 = base64.b64decode(core.export_key(key.private_key, format="pkcs8-v1"))
    assert v1 == private("DER", "PKCS8")
    openssh = core.export_key(key.private_key, format="openssh").encode()
    read = serialization.load_ssh_private_key(openssh, None)
    assert isinstance(read, Ed25519PrivateKey)
    assert read.private_bytes_raw() == SEED
    assert core.export_key(key.private_key, format="jwk") == JWK
    assert core.export_key(key.private_key, format="raw") == SEED
    assert core.export_public_key(key.public_key, format="pem").encode() == public(
        "PEM", "SubjectPublicKeyInfo"
    )
    spki = base64.b64decode(core.export_public_key(key.public_key, format="spki"))
    assert spki == public("DER", "SubjectPublicKeyInfo")
    assert core.export_public_key(key.public_key, format="jwk") == PUBLIC_JWK
    assert core.export_public_key(key.public_key, format="raw") == PUBLIC
    rfc = core.import_key(RFC_8037)
    assert core.export_key(rfc.private_key, format="jwk") == RFC_8037


EC = ec.generate_private_key(ec.SECP256R1())
REFUSED: list[tuple[str, Callable[[Any], object], str, str]] = [
    ("nothing", lambda core: core.import_key(""), "invalid_private_key", "is empty"),
    ("no bytes", lambda core: core.import_key(b""), "invalid_private_key", "is empty"),
    ("a public key", lambda core: core.import_key(PUBLIC_JWK), "invalid_private_key", "has a d"),
    (
        "a passphrase",
        lambda core: core.import_key(
            OTHERS.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            )
        ),
        "invalid_private_key",
        "is encrypted; decrypt it first",
    ),
    (
        "ECDSA",
        lambda core: core.import_key(
            EC.private_bytes(
                serialization.Encoding.DER,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        ),
        "invalid_private_key",
        "is an ECDSA key",
    ),
    ("a number in a JWK", lambda core: core.import_key(JWK | {"d": 1}), "invalid_private_key", "whose d"),
    ("a private key", lambda core: core.import_public_key(JWK), "invalid_public_key", "is a private key"),
    ("a number", lambda core: core.import_key(1), "invalid_request", "no str, no bytes and no dict"),
    ("another's object", lambda core: core.import_key(OTHERS), "invalid_request", "is exported first"),
    ("none", lambda core: core.import_public_key(None), "invalid_request", "no str"),
    (
        "half a surrogate pair",
        lambda core: core.import_key("\ud800"),
        "invalid_request",
        "",
    ),
    ("an unknown format", lambda core: core.export_key("", format="der"), "invalid_private_key", ""),
    ("no text", lambda core: core.export_key(1, format="pem"), "invalid_request", ""),
    ("no format", lambda core: core.export_key("a", format=None), "invalid_request", ""),
]


@pytest.mark.parametrize("name", [name for name, *_ in REFUSED])
def test_refused(core: AgentAssert, name: str) -> None:
    (case,) = [case for case in REFUSED if case[0] == name]
    _, call, code, says = case
    with pytest.raises(AgentAssertError) as failure:
        call(core)
    assert failure.value.code == code
    assert says in failure.value.message
    for secret in (SEED.hex(), url(SEED), base64.b64encode(SEED).decode()):
        assert secret not in repr(failure.value)


def test_other_formats(core: AgentAssert, key: KeyPair) -> None:
    unchecked: Any = core
    calls: list[Callable[[], object]] = [
        lambda: unchecked.export_key(key.private_key, format="spki"),
        lambda: unchecked.export_public_key(key.public_key, format="openssh"),
    ]
    for call in calls:
        with pytest.raises(AgentAssertError) as failure:
            call()
        assert failure.value.code == "invalid_config"
