"""The Python in the README, by the heading that it stands under."""

from __future__ import annotations

import pathlib
import re

README = pathlib.Path(__file__).resolve().parent.parent / "README.md"


def snippets(heading: str) -> list[str]:
    """Return the pieces of Python between a heading and the next. That there are none is an error."""
    sections = re.split(r"^## (.+)$", README.read_text(), flags=re.MULTILINE)
    text = dict(zip(sections[1::2], sections[2::2], strict=True))[heading]
    found = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    if not found:
        raise LookupError(f"there is no Python under {heading}")
    return found
