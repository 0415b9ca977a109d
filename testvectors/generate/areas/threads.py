"""thread.file: what stands for a thread in names of files."""

import hashlib

from cryptography.hazmat.primitives import hashes

from vectors import call

BY = "SHA-256 by OpenSSL and by Python's hashlib"
# The answer to "abc" is in FIPS 180-4's examples.
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def sha256(data):
    """Return the digest in hexadecimal, on which both have to agree."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(data)
    name = digest.finalize().hex()
    assert name == hashlib.sha256(data).hexdigest()
    return name


def vectors():
    """Return the vectors of this area."""
    assert sha256(b"abc") == ABC
    out = [
        call(
            f"thread-file-{name}",
            comment,
            BY,
            "thread.file",
            {"thread_id": thread},
            ok={"name": sha256(thread.encode())},
        )
        for name, comment, thread in [
            ("abc", "the standard's example", "abc"),
            (
                "usual",
                "an id as clients choose them",
                "0199a213-81c0-7800-8aa1-bbab2a035a53",
            ),
            ("path", "an id that is a path", "../../etc/passwd"),
            ("upper", "another case, and so another name", "ABC"),
            ("space", "white space counts", " abc "),
            ("not-ascii", "the bytes of UTF-8, not normalized", "conversation-é-🦀"),
            ("decomposed", "the same text to the eye", "conversation-e\u0301-🦀"),
            ("block", "one block of the hash, which padding makes two", "b" * 64),
            ("longest", "as long as an id may be", "l" * 4096),
        ]
    ]
    out += [
        call(
            f"thread-file-{name}-refused",
            comment,
            "this project's rule: ids that no thread can have",
            "thread.file",
            {"thread_id": thread},
            error="invalid_thread_id",
        )
        for name, comment, thread in [
            ("empty", "no id", ""),
            ("too-long", "a byte longer than an id may be", "l" * 4097),
            ("control", "a control character", "a\nb"),
        ]
    ]
    return out
