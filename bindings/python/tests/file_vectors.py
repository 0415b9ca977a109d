"""The operations on files of the vectors, in the classes of the package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vectors import from_json, vectors

from agentassert.file_effect import FileAnswer, FileEffect, FileStart, FileStat

if TYPE_CHECKING:
    from collections.abc import Iterator


class Step:
    """An event, and the effect that it comes to."""

    def __init__(self, step: dict[str, Any]) -> None:
        self.event: dict[str, Any] = from_json(step["event"])
        #: None where the core refuses the event; the state before it is then still good.
        self.effect: dict[str, Any] | None = from_json(step.get("effect"))

    @property
    def now(self) -> int:
        now: int = self.event["now"]
        return now

    @property
    def start(self) -> FileStart:
        event = self.event
        return FileStart(
            event["operation"],
            event.get("slot", ""),
            event.get("record", b""),
            event.get("expected", b""),
            beside=event.get("beside", False),
        )

    @property
    def answer(self) -> FileAnswer:
        event = self.event
        if event["type"] == "failed":
            return FileAnswer(failure=event["failure"])
        stat = FileStat(**event["stat"]) if "stat" in event else None
        return FileAnswer(stat, event.get("content", b""), event.get("names", []))


def operations() -> Iterator[tuple[str, list[Step]]]:
    """Returns the id and the steps of each operation."""
    for vector in vectors("files"):
        if "steps" in vector:
            yield vector["id"], [Step(step) for step in vector["steps"]]


def message_of(effect: FileEffect) -> dict[str, Any]:
    """Returns an effect as the module asks for it, but for a result."""
    members = {name: getattr(effect, name) for name in FileEffect.__slots__ if name != "result"}
    return {name: value for name, value in members.items() if value}
