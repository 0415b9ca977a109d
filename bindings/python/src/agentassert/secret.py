"""What must not be shown."""

from __future__ import annotations

from typing import NoReturn


class Secret:
    """Holds credentials, keys, or what is made of them. It is not printed, pickled or copied."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} is secret, and for this process alone")
