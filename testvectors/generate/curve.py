"""The curve of Ed25519 (RFC 8032, section 5.1), for keys that no library makes."""

P = 2**255 - 19
# The order of the base point.
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P

IDENTITY = (0, 1)


def add(a, b):
    """Add two points in affine coordinates."""
    product = D * a[0] * b[0] * a[1] * b[1]
    x = (a[0] * b[1] + a[1] * b[0]) * pow(1 + product, -1, P)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P)
    return x % P, y % P


def multiply(n, point):
    """Add a point to itself, n times in all."""
    result = IDENTITY
    while n:
        if n & 1:
            result = add(result, point)
        point = add(point, point)
        n >>= 1
    return result


def recover_x(y):
    """Return the even x of the points with this y, or None where there is none."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square:
        return None
    return P - x if x & 1 else x


def encode(point):
    """Encode a point, canonically."""
    return encode_raw(point[1], point[0] & 1)


def encode_raw(y, sign):
    """Encode y, reduced or not, and the sign of x."""
    return (y | sign << 255).to_bytes(32, "little")


BASE = (recover_x(4 * pow(5, -1, P) % P), 4 * pow(5, -1, P) % P)


def _generator_of_torsion():
    """Return a point of order 8."""
    y = 2
    while True:
        x = recover_x(y)
        if x is not None:
            point = multiply(L, (x, y))
            if multiply(4, point) != IDENTITY:
                return point
        y += 1


TORSION = _generator_of_torsion()
# The eight points of small order, the identity first.
SMALL_ORDER = [multiply(n, TORSION) for n in range(8)]
