"""Of what shape a value is that can be anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeGuard


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Report whether a value is a list."""
    return isinstance(value, list)


def is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Report whether a value is a mapping, of whatever names."""
    return isinstance(value, Mapping)


def is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    """Report whether a value is several others. A text is one, and so are bytes."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))
