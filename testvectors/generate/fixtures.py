"""Keys and names that several areas use."""

import captured
from primitives import Key

# RFC 8032, section 7.1: the name of each test, its secret key and its public key.
RFC_8032_TESTS = [
    (
        "test-1",
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    ),
    (
        "test-2",
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    ),
    (
        "test-3",
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    ),
    (
        "test-1024",
        "f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
        "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
    ),
    (
        "test-sha-abc",
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
    ),
]

RFC_8032_KEYS = {
    name: Key(bytes.fromhex(seed)) for name, seed, public in RFC_8032_TESTS
}
for _name, _, _public in RFC_8032_TESTS:
    assert RFC_8032_KEYS[_name].public.hex() == _public

# The key that vectors use where nothing is said: the captured one. The other is
# for what belongs to somebody else.
KEY = captured.KEY
OTHER_KEY = RFC_8032_KEYS["test-1"]

# The longest header that is read: the scheme, a space, and base64url of the largest
# JSON text, rounded up.
LONGEST_HEADER = len("AgentAssertion ") + (64 << 10) * 4 // 3 + 2

# The source of what a comparison of two times says.
BY_ARITHMETIC = "arithmetic on the timestamp"

TOO_FAR = "timestamp_skew"


def _skews():
    """Yield (name, comment, skew, the clock's offset, whether that is allowed)."""
    yield "skew-0", "the very second", 0, 0, True
    for skew in [0, 1, 300]:
        for name, sign in [("behind", -1), ("ahead", 1)]:
            if skew:
                yield (
                    f"skew-{skew}-clock-{name}",
                    f"a clock {skew} s {name}: as far as the skew allows",
                    skew,
                    sign * skew,
                    True,
                )
            yield (
                f"skew-{skew}-clock-{name}-refused",
                f"a clock {skew + 1} s {name}: a second more than the skew allows",
                skew,
                sign * (skew + 1),
                False,
            )


SKEWS = list(_skews())
