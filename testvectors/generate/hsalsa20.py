"""HSalsa20 of a zero input, which turns a shared secret into the key of a box.

libsodium does it inside of crypto_box_beforenm, which refuses the shared secret
that one vector is about.
"""

CONSTANT = b"expand 32-byte k"


def hsalsa20(key):
    """Return HSalsa20(key, 16 bytes 0)."""
    parts = [CONSTANT[:4], key[:16], CONSTANT[4:8], bytes(16), CONSTANT[8:12]]
    block = b"".join([*parts, key[16:], CONSTANT[12:]])
    x = [int.from_bytes(block[i : i + 4], "little") for i in range(0, 64, 4)]

    def quarter(a, b, c, d):
        for to, one, other, shift in [(b, a, d, 7), (c, b, a, 9), (d, c, b, 13)]:
            x[to] ^= rotate(x[one] + x[other] & 0xFFFFFFFF, shift)
        x[a] ^= rotate(x[d] + x[c] & 0xFFFFFFFF, 18)

    def rotate(n, shift):
        return (n << shift | n >> 32 - shift) & 0xFFFFFFFF

    for _ in range(10):
        for i in range(4):
            quarter(*(5 * i + 4 * j & 15 for j in range(4)))
        for i in range(4):
            quarter(*(4 * i + (i + j & 3) for j in range(4)))
    return b"".join(x[i].to_bytes(4, "little") for i in [0, 5, 10, 15, 6, 7, 8, 9])
