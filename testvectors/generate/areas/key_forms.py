"""Keys in the forms that others have: key.import, public_key.import, key.export."""

import base64
import json
import struct

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519

import hostile
from fixtures import KEY, OTHER_KEY, RFC_8032_KEYS
from primitives import b64, b64url, with_trailing_bits
from vectors import call, hexadecimal

PKCS8 = "RFC 5958, RFC 8410, section 7; version 1 by OpenSSL"
SPKI = "RFC 8410, section 4; by OpenSSL"
JWK = "RFC 8037, section 2"
OPENSSH = "PROTOCOL.key of OpenSSH; read by Python's cryptography"
OPENSSH_LINE = "RFC 8709, section 4; by OpenSSL"
SEED = "RFC 8032, section 5.1.5; by libsodium"
PEM = "RFC 7468"
RULE = "this project's rule: a key that is no key in its place is none"
TEXT = "this project's rule: what texts go through on their way does not matter"

# RFC 8410, sections 10.1 and 10.3, and RFC 8037, appendix A.1.
RFC_8410_PUBLIC = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
"""
RFC_8410_V1 = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
"""
RFC_8410_V2 = """-----BEGIN PRIVATE KEY-----
MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB
Z9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PRIVATE KEY-----
"""
RFC_8037 = {
    "kty": "OKP",
    "crv": "Ed25519",
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}

# What ssh-keygen -t ed25519 -N passphrase wrote once.
WITH_PASSPHRASE = """-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABB/dgGoF7
Rgu6P7SqWxwi+kAAAAAQAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIESMSUpyyCJ/bfr+
DiAThKWj79vrqw2xkQPxCwDmjBJ7AAAAkKd8+lmp8qs/Qo+Y88d7n3Y97KKjzl4o82gDH2
AmOEM7LbbSaM1Zuf0D18WZPdLYLetkyywN2/iN+bVIElsHomAGVbQPgGR32d+bombsO+4j
kyiM7Zj3sl7owyXVeySmSDrj1OY45WJmjZTgZQDJBWTAI01OrI3b8CvUVsqrTjdFUfdjdk
AwWs11liBTc0JyYw==
-----END OPENSSH PRIVATE KEY-----
"""
# What openssl pkcs8 -topk8 made of a key once.
ENCRYPTED = """-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjZYOjbRNgM4wICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEMnSD5py4t9LZ+VpfTVxfPQEQC6t
zCqGoRtomrshwWhDm1MYD2tXAVgCh3XlN7WGBpW79h2v2QlUvWGl2gpAMEvFyPEL
kgVmr/wIm0M8EMhENwc=
-----END ENCRYPTED PRIVATE KEY-----
"""


def pem(label, der, line=64):
    """Return PEM (RFC 7468)."""
    text = b64(der)
    lines = [text[i : i + line] for i in range(0, len(text), line)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def spki(key):
    """Return SubjectPublicKeyInfo of a key of one of Python's libraries."""
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def pkcs8(key):
    """Return PKCS#8 of a key of one of Python's libraries."""
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def spki_of(key):
    """Return SubjectPublicKeyInfo of one of the vectors' keys."""
    return spki(ed25519.Ed25519PublicKey.from_public_bytes(key.public))


def jwk(key, private=True, **members):
    """Return a JWK's members; ... removes one."""
    whole = {"kty": "OKP", "crv": "Ed25519", "x": b64url(key.public)}
    if private:
        whole["d"] = b64url(key.seed)
    whole |= members
    return {name: value for name, value in whole.items() if value is not ...}


def string(data):
    """Return bytes as SSH has them (RFC 4251, section 5)."""
    return struct.pack(">I", len(data)) + data


def openssh_key(
    key, check=b"\x01\x02\x03\x04", comment=b"", fill=None, second=None, public=None
):
    """Return an openssh-key-v1 without a passphrase."""
    blob = string(b"ssh-ed25519") + string(public or key.public)
    inner = check + (second or check) + string(b"ssh-ed25519") + string(key.public)
    inner += string(key.seed + key.public) + string(comment)
    whole = bytes(range(1, 1 + -len(inner) % 8))
    inner += whole if fill is None else fill
    made = b"openssh-key-v1\0" + string(b"none") + string(b"none") + string(b"")
    made += struct.pack(">I", 1) + string(blob) + string(inner)
    if fill is None and second is None and public is None:
        text = pem("OPENSSH PRIVATE KEY", made, 70).encode()
        read = serialization.load_ssh_private_key(text, None)
        assert read.private_bytes_raw() == key.seed
    return made


def der(tag, *parts):
    """Return a value of DER."""
    content = b"".join(parts)
    assert len(content) < 128
    return bytes([tag, len(content)]) + content


ALGORITHM = bytes.fromhex("300506032b6570")


def pkcs8_of(key, *optional, version=1, algorithm=ALGORITHM):
    """Return PKCS#8 of parts."""
    private = der(4, der(4, key.seed))
    return der(0x30, der(2, bytes([version])), algorithm, private, *optional)


def attributes():
    """Return an attribute: a friendly name (RFC 2985)."""
    name = bytes.fromhex("06092a864886f70d010914")
    return der(0xA0, der(0x30, name, der(0x31, der(0x1E, "key".encode("utf-16-be")))))


def forms(form):
    """Return the params of an import: of text, or of bytes."""
    return {"key": form} if isinstance(form, str) else {"bytes": hexadecimal(form)}


def private_forms():
    """Yield (name, comment, source, form) of KEY."""
    v1, v2, seed = KEY.der_v1, KEY.der_v2, KEY.seed
    bits = b"\0" + KEY.public
    yield "pkcs8-v1", "base64 of version 1", PKCS8, b64(v1)
    yield "pkcs8-v2", "what is kept: base64 of version 2", PKCS8, b64(v2)
    yield "pkcs8-v1-bytes", "the DER as bytes", PKCS8, v1
    yield "pkcs8-v2-bytes", "the DER as bytes", PKCS8, v2
    yield "pkcs8-hex", "the DER in hexadecimal", PKCS8, v1.hex()
    yield "pkcs8-url", "in base64url, unpadded", PKCS8, b64url(v2)
    text = pem("PRIVATE KEY", v1)
    assert text.encode() == serialization.load_pem_private_key(
        text.encode(), None
    ).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    yield "pem-v1", "PEM, as OpenSSL writes it", PKCS8, text
    yield "pem-v2", "PEM of version 2", PKCS8, pem("PRIVATE KEY", v2)
    yield "pem-bytes", "a file with PEM", PKCS8, text.encode()
    yield "pem-crlf", "with carriage returns", TEXT, text.replace("\n", "\r\n")
    yield "pem-one-line", "without line breaks", TEXT, text.replace("\n", " ")
    escaped = text.replace("\n", "\\n")
    yield "pem-escaped", "with escaped line breaks, of an environment", TEXT, escaped
    yield "pem-explained", "behind text that is none of it", PEM, "Key:\n" + text
    yield "pem-byte-order-mark", "behind a byte order mark", TEXT, "\ufeff" + text
    with_attribute = pkcs8_of(KEY, attributes(), version=0)
    yield "pkcs8-v1-attribute", "with an attribute", PKCS8, b64(with_attribute)
    both = pkcs8_of(KEY, attributes(), der(0x81, bits))
    yield "pkcs8-v2-attribute", "with both optional parts", PKCS8, b64(both)
    older = pkcs8_of(KEY, der(0xA1, der(3, bits)))
    yield "pkcs8-v2-older", "the public key as older code has it", PKCS8, b64(older)
    yield "openssh", "in PEM", OPENSSH, pem("OPENSSH PRIVATE KEY", openssh_key(KEY), 70)
    for comment in ["", "a", "five.", "me@here", "eight by", "p\u00e4r", "c" * 300]:
        raw = openssh_key(KEY, comment=comment.encode())
        name = f"openssh-comment-{len(comment.encode())}"
        yield (
            name,
            f"with a comment of {len(comment.encode())} bytes",
            OPENSSH,
            b64(raw),
        )
    yield "openssh-bytes", "as bytes", OPENSSH, openssh_key(KEY)
    yield "seed-bytes", "the seed", SEED, seed
    yield "seed-hex", "the seed in hexadecimal", SEED, seed.hex()
    yield "seed-hex-upper", "in upper case", SEED, seed.hex().upper()
    yield "seed-base64", "in base64", SEED, b64(seed)
    yield "seed-base64url", "in base64url", SEED, b64url(seed)
    yield "seed-lines", "in two lines", TEXT, b64(seed)[:20] + "\r\n " + b64(seed)[20:]
    yield "seed-file", "a file with hexadecimal", SEED, (seed.hex() + "\n").encode()
    yield "secret-bytes", "libsodium's secret key", SEED, seed + KEY.public
    yield "secret-base64", "in base64", SEED, b64(seed + KEY.public)
    yield "secret-hex", "in hexadecimal", SEED, (seed + KEY.public).hex()
    yield "jwk", "a JWK", JWK, json.dumps(jwk(KEY))
    yield "jwk-bytes", "a file with a JWK", JWK, json.dumps(jwk(KEY), indent=2).encode()
    members = {
        "alg": "EdDSA",
        "use": "sig",
        "kid": "1",
        "key_ops": ["sign"],
        "ext": True,
    }
    yield "jwk-members", "with more members", JWK, json.dumps(jwk(KEY, **members))
    later = json.dumps(jwk(KEY, alg="Ed25519"))
    yield "jwk-alg-ed25519", "with the later name", "RFC 9864, section 2.2", later
    file = f"# public key: {KEY.openssh}\n# made today\n{KEY.stored}\n"
    yield "comments", "behind lines that begin with #", TEXT, file


def private_refused():
    """Yield (name, comment, source, form) of what is no private key."""
    v1, v2, seed = KEY.der_v1, KEY.der_v2, KEY.seed
    other = b"\0" + OTHER_KEY.public
    yield "empty", "nothing", RULE, ""
    yield "blank", "white space", RULE, " \n"
    yield "comment-alone", "a comment and no key", RULE, "# nothing"
    yield "word", "a word", RULE, "secret!"
    yield "text-32", "32 characters are no seed", RULE, "0123456789abcdef" * 2
    yield "text-64", "64 characters that are not hexadecimal", RULE, "z" * 64
    for size in [1, 31, 33, 63, 65]:
        yield f"{size}-bytes", f"{size} bytes", SEED, bytes([0x80]) * size
    yield "utf16", "UTF-16", TEXT, pem("PRIVATE KEY", v1).encode("utf-16")
    yield "nul", "text with a U+0000", TEXT, (b64(v1) + "\0").encode()
    yield "other-public-v2", "another's public key", PKCS8, b64(v2[:-32] + other[1:])
    yield "other-public-secret", "another's public key", SEED, seed + other[1:]
    old = pkcs8_of(KEY, der(0xA1, der(3, other)))
    yield "other-public-older", "another's public key", PKCS8, b64(old)
    yield (
        "version-3",
        "a version that there is not",
        PKCS8,
        b64(pkcs8_of(KEY, version=2)),
    )
    null = der(0x30, ALGORITHM[2:], b"\x05\x00")
    yield "parameters", "an algorithm's", PKCS8, b64(pkcs8_of(KEY, algorithm=null))
    yield "truncated", "a byte is missing", PKCS8, b64(v1[:-1])
    yield "trailing", "a byte too many", PKCS8, b64(v1 + b"\0")
    yield "long-length", "a length in two bytes", PKCS8, b64(b"\x30\x81" + v1[1:])
    yield "trailing-bits", "bits of no byte", PKCS8, with_trailing_bits(b64(v2))
    yield (
        "short-seed",
        "a seed of 31 bytes",
        PKCS8,
        b64(der(0x30, der(2, b"\0"), ALGORITHM, der(4, der(4, seed[:31])))),
    )
    unused = pkcs8_of(KEY, der(0x81, b"\x01" + KEY.public))
    yield "unused-bits", "a public key with unused bits", PKCS8, b64(unused)
    yield "pem-cut", "PEM without its end", PEM, pem("PRIVATE KEY", v1)[:70]
    two = pem("PRIVATE KEY", v1) + pem("PRIVATE KEY", OTHER_KEY.der_v1)
    yield "pem-two", "two keys", PEM, two
    yield (
        "pem-labels",
        "two labels",
        PEM,
        pem("PRIVATE KEY", v1).replace("END PRIVATE", "END PUBLIC"),
    )
    yield (
        "pem-content",
        "PEM of no base64",
        PEM,
        pem("PRIVATE KEY", v1).replace("M", "!", 1),
    )
    yield "encrypted", "PKCS#8 with a passphrase", "by OpenSSL", ENCRYPTED
    yield "certificate", "a certificate", PEM, pem("CERTIFICATE", v1)
    raw = openssh_key(KEY)
    yield "openssh-passphrase", "a passphrase", "by ssh-keygen", WITH_PASSPHRASE
    yield (
        "openssh-checks",
        "numbers that differ",
        OPENSSH,
        b64(openssh_key(KEY, second=b"\x01\x02\x03\x05")),
    )
    yield (
        "openssh-fill",
        "another filling",
        OPENSSH,
        b64(openssh_key(KEY, fill=b"\0" * 5)),
    )
    yield "openssh-no-fill", "no filling", OPENSSH, b64(openssh_key(KEY, fill=b""))
    nine = bytes(range(1, 14))
    yield (
        "openssh-more-fill",
        "a block too many",
        OPENSSH,
        b64(openssh_key(KEY, fill=nine)),
    )
    yield (
        "openssh-public",
        "another's public key",
        OPENSSH,
        b64(openssh_key(KEY, public=OTHER_KEY.public)),
    )
    yield "openssh-cut", "a byte is missing", OPENSSH, b64(raw[:-1])
    yield "openssh-trailing", "a byte too many", OPENSSH, b64(raw + b"\0")
    yield "openssh-magic", "its first bytes alone", OPENSSH, raw[:15]
    p256 = ec.derive_private_key(1, ec.SECP256R1())
    yield "ecdsa", "a key of another algorithm", PKCS8, pem("PRIVATE KEY", pkcs8(p256))
    x = x25519.X25519PrivateKey.from_private_bytes(seed)
    yield "x25519", "a key of another algorithm", PKCS8, b64(pkcs8(x))
    ed = ed448.Ed448PrivateKey.from_private_bytes(seed + seed[:25])
    yield "ed448", "a key of another algorithm", PKCS8, b64(pkcs8(ed))
    for name, form in public_of(KEY):
        yield f"public-{name}", "a public key", RULE, form
    for name, comment, members in jwk_refused():
        yield f"jwk-{name}", comment, JWK, json.dumps(jwk(KEY, **members))
    yield "jwk-no-d", "a public JWK", JWK, json.dumps(jwk(KEY, private=False))
    yield "jwk-set", "a set", "RFC 7517, section 5", json.dumps({"keys": [jwk(KEY)]})
    for name, d in [
        ("short", b64url(seed[:31])),
        ("long", b64url(seed + b"\0")),
        ("padded", b64url(seed) + "="),
        ("standard", b64(bytes([0xFF]) * 32).rstrip("=")),
        ("line", b64url(seed)[:20] + "\n" + b64url(seed)[20:]),
        ("number", 1),
        ("null", None),
        ("bits", with_trailing_bits(b64url(seed))),
    ]:
        yield f"jwk-d-{name}", "a d that is not one", JWK, json.dumps(jwk(KEY, d=d))
    yield (
        "putty",
        "a key of PuTTY's",
        "PuTTY's manual, appendix C",
        ("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n"),
    )
    yield "age", "a key of age's", "age's specification", "AGE-SECRET-KEY-1QQQQ"
    yield "pem-other", "PEM of another kind", PEM, pem("RSA PRIVATE KEY", v1)
    wide = ("\ufeff" + "0" * 31).encode("utf-16-le")
    yield "utf16-64-bytes", "UTF-16 of 64 bytes is no pair of keys", TEXT, wide
    twice = json.dumps(jwk(KEY)).replace("{", '{"kty":"OKP",', 1)
    yield "jwk-twice", "a member twice", "RFC 7493, section 2.3", twice
    yield "jwk-behind", "more behind it", JWK, json.dumps(jwk(KEY)) + "}"


def jwk_refused():
    """Yield (name, comment, members) of JWKs that are refused as either half."""
    x = b64url(OTHER_KEY.public)
    yield "kty", "another kty", {"kty": "EC"}
    yield "no-kty", "no kty", {"kty": ...}
    yield "crv", "another crv", {"crv": "X25519"}
    yield "no-crv", "no crv", {"crv": ...}
    yield "alg", "another alg", {"alg": "ES256"}
    yield "use", "another use", {"use": "enc"}
    yield "no-x", "no x", {"x": ...}
    yield "x-short", "an x of 31 bytes", {"x": b64url(KEY.public[:31])}
    yield "x-number", "an x of another type", {"x": 1}
    yield "x-padded", "an x that is padded", {"x": x + "="}


def public_of(key):
    """Yield (name, form) of a public key, those that no private key looks like."""
    yield "line", key.openssh
    yield "blob", base64.b64decode(key.openssh.split()[1])
    yield "pem", pem("PUBLIC KEY", spki_of(key))
    yield "spki", b64(spki_of(key))
    yield "spki-bytes", spki_of(key)


def public_forms():
    """Yield (name, comment, source, form) of KEY's public half."""
    for name, form in public_of(KEY):
        source = OPENSSH_LINE if name in ["line", "blob"] else SPKI
        yield name, "one of the forms of a public key", source, form
    line = KEY.openssh
    yield "comment", "with a comment", OPENSSH_LINE, line + " me@here, at home"
    yield "line-file", "a .pub file", OPENSSH_LINE, (line + " me@here\n").encode()
    yield "line-crlf", "one of Windows's", TEXT, line + " me@here\r\n"
    yield "blob-base64", "the base64 in it alone", OPENSSH_LINE, line.split()[1]
    yield "spki-hex", "in hexadecimal", SPKI, spki_of(KEY).hex()
    yield "spki-url", "in base64url", SPKI, b64url(spki_of(KEY))
    yield "pem-bytes", "a file with PEM", SPKI, pem("PUBLIC KEY", spki_of(KEY)).encode()
    yield "bytes", "the 32 bytes", "RFC 8032, section 5.1.5", KEY.public
    yield "hex", "in hexadecimal", "RFC 8032, section 5.1.5", KEY.public.hex()
    yield "base64", "in base64", "RFC 8032, section 5.1.5", b64(KEY.public)
    yield "base64url", "in base64url", "RFC 8032, section 5.1.5", b64url(KEY.public)
    yield "jwk", "a JWK", JWK, json.dumps(jwk(KEY, private=False))
    more = jwk(KEY, private=False, use="sig", alg="EdDSA", kid="a", key_ops=["verify"])
    yield "jwk-members", "with more members", JWK, json.dumps(more)
    yield "comments", "behind a line that begins with #", TEXT, f"# a key\n{line}\n"


def public_refused():
    """Yield (name, comment, source, form) of what is no public key."""
    yield "empty", "nothing", RULE, ""
    yield "word", "a word", RULE, "key"
    for name, _, source, form in private_forms():
        if not name.startswith("seed"):
            yield f"private-{name}", "a private key in the wrong place", source, form
    yield "encrypted", "a private key with a passphrase", "by OpenSSL", ENCRYPTED
    yield "openssh-passphrase", "another", "by ssh-keygen", WITH_PASSPHRASE
    yield "two-lines", "two keys", RULE, f"{KEY.openssh}\n{OTHER_KEY.openssh}\n"
    yield (
        "rsa-line",
        "another type",
        "RFC 4253, section 6.6",
        "ssh-rsa AAAAB3NzaC1yc2E=",
    )
    blob = string(b"sk-ssh-ed25519@openssh.com") + string(KEY.public) + string(b"ssh:")
    yield (
        "security-key",
        "one of a security key",
        "PROTOCOL.u2f of OpenSSH",
        (f"sk-ssh-ed25519@openssh.com {b64(blob)}"),
    )
    yield "type-alone", "nothing behind the type", OPENSSH_LINE, "ssh-ed25519 "
    rfc4716 = KEY.openssh.split()[1]
    yield (
        "rfc-4716",
        "another form",
        "RFC 4716",
        (
            f"---- BEGIN SSH2 PUBLIC KEY ----\n{rfc4716}\n---- END SSH2 PUBLIC KEY ----\n"
        ),
    )
    numbers = rsa.RSAPublicNumbers(65537, 2**2047 + 1)
    yield (
        "rsa",
        "another algorithm",
        SPKI,
        pem("PUBLIC KEY", spki(numbers.public_key())),
    )
    p256 = ec.derive_private_key(1, ec.SECP256R1()).public_key()
    yield "ecdsa", "another algorithm", SPKI, b64(spki(p256))
    x = x25519.X25519PublicKey.from_public_bytes(KEY.public)
    yield "x25519", "another algorithm", SPKI, b64(spki(x))
    yield "spki-truncated", "a byte is missing", SPKI, b64(spki_of(KEY)[:-1])
    yield "spki-trailing", "a byte too many", SPKI, b64(spki_of(KEY) + b"\0")
    yield (
        "blob-trailing",
        "a byte too many",
        OPENSSH_LINE,
        (base64.b64decode(KEY.openssh.split()[1]) + b"\0"),
    )
    for name, comment, members in jwk_refused():
        made = jwk(KEY, private=False, **members)
        yield f"jwk-{name}", comment, JWK, json.dumps(made)
    for name, comment, line in hostile.PUBLIC_KEYS:
        if name.startswith(("small-order", "y-", "off-curve")):
            yield name, comment, RULE, base64.b64decode(line.split()[1])[-32:]
    yield "64-bytes", "64 bytes", RULE, KEY.public + KEY.seed


def imports():
    """Yield the vectors of both imports."""
    ok = {"private_key": KEY.stored, "public_key": KEY.openssh}
    for name, comment, source, form in private_forms():
        yield call(f"import-{name}", comment, source, "key.import", forms(form), ok=ok)
    rfc = RFC_8032_KEYS["test-1"]
    kept = {"private_key": rfc.stored, "public_key": rfc.openssh}
    yield call(
        "import-rfc-8037",
        "the RFC's example",
        "RFC 8037, appendix A.1",
        "key.import",
        forms(json.dumps(RFC_8037)),
        ok=kept,
    )
    seed = serialization.load_pem_private_key(RFC_8410_V1.encode(), None)
    key = type(KEY)(seed.private_bytes_raw())
    kept = {"private_key": key.stored, "public_key": key.openssh}
    for name, text in [("v1", RFC_8410_V1), ("v2", RFC_8410_V2)]:
        yield call(
            f"import-rfc-8410-{name}",
            "the RFC's example",
            "RFC 8410, section 10.3",
            "key.import",
            forms(text),
            ok=kept,
        )
    for name, comment, source, form in private_refused():
        yield call(
            f"import-{name}-refused",
            comment,
            source,
            "key.import",
            forms(form) if form else {},
            error="invalid_private_key",
        )
    both = {"key": KEY.stored, "bytes": hexadecimal(KEY.seed)}
    code = "invalid_private_key"
    yield call(
        "import-both-refused", "one is asked for", RULE, "key.import", both, error=code
    )
    method = "public_key.import"
    ok = {"public_key": KEY.openssh}
    for name, comment, source, form in public_forms():
        yield call(f"public-import-{name}", comment, source, method, forms(form), ok=ok)
    yield call(
        "public-import-rfc-8410",
        "the RFC's example",
        "RFC 8410, section 10.1",
        method,
        forms(RFC_8410_PUBLIC),
        ok={"public_key": key.openssh},
    )
    for name, comment, source, form in public_refused():
        yield call(
            f"public-import-{name}-refused",
            comment,
            source,
            method,
            forms(form) if form else {},
            error="invalid_public_key",
        )


def exports():
    """Yield the vectors of key.export."""
    method = "key.export"
    for of, key in [("captured", KEY), ("rfc-8032", OTHER_KEY)]:
        check = bytes(4)
        private = {
            "pkcs8-v1": (PKCS8, b64(key.der_v1)),
            "pem": (PKCS8, pem("PRIVATE KEY", key.der_v1)),
            "jwk": (
                JWK,
                json.dumps(dict(sorted(jwk(key).items())), separators=(",", ":")),
            ),
            "openssh": (
                OPENSSH
                + "; this project's rule: the number is 0, for it checks a passphrase",
                pem("OPENSSH PRIVATE KEY", openssh_key(key, check), 70),
            ),
            "raw": (SEED, key.seed),
        }
        public_jwk = dict(sorted(jwk(key, private=False).items()))
        public = {
            "spki": (SPKI, b64(spki_of(key))),
            "pem": (SPKI, pem("PUBLIC KEY", spki_of(key))),
            "jwk": (JWK + "; RFC 7638", json.dumps(public_jwk, separators=(",", ":"))),
            "raw": ("RFC 8032, section 5.1.5", key.public),
        }
        halves = [
            ("private", {"private_key": key.stored}, private),
            ("public", {"public_key": key.openssh}, public),
        ]
        for half, params, made in halves:
            for form, (source, form_of_it) in made.items():
                yield call(
                    f"export-{half}-{form}-{of}",
                    f"the {half} half",
                    source,
                    method,
                    params | {"format": form},
                    ok=forms(form_of_it),
                )
    v1 = {"private_key": b64(KEY.der_v1), "format": "raw"}
    ok = forms(KEY.seed)
    yield call(
        "export-of-version-1", "what is read is written", PKCS8, method, v1, ok=ok
    )
    private, public = {"private_key": KEY.stored}, {"public_key": KEY.openssh}
    for name, params, code in [
        ("unknown", private | {"format": "der"}, "invalid_config"),
        ("empty-format", private | {"format": ""}, "invalid_config"),
        ("private-spki", private | {"format": "spki"}, "invalid_config"),
        ("public-pkcs8", public | {"format": "pkcs8-v1"}, "invalid_config"),
        ("public-openssh", public | {"format": "openssh"}, "invalid_config"),
        ("both", private | public | {"format": "raw"}, "invalid_request"),
        ("neither", {"format": "raw"}, "invalid_private_key"),
        ("no-format", private, "invalid_request"),
        (
            "pem-key",
            {"private_key": pem("PRIVATE KEY", KEY.der_v1), "format": "raw"},
            "invalid_private_key",
        ),
        (
            "comment",
            {"public_key": KEY.openssh + " me", "format": "raw"},
            "invalid_public_key",
        ),
    ]:
        yield call(
            f"export-{name}-refused", "what it is not", RULE, method, params, error=code
        )


def vectors():
    """Return the vectors of key-forms.json."""
    return [*imports(), *exports()]
