"""BENCHMARKS.md: what a benchmark printed takes the place of what it printed the last time.

A section begins with its command. What follows is the benchmark's, up to the mark below which there
are remarks by hand, or to the end of the section.
"""

import re
from pathlib import Path

BY_HAND = "<!-- by hand -->"
_SECTION = re.compile(r"(?m)^(?=## )")


def publish(file: Path, name: str, printed: str) -> bool:
    """Write what a benchmark printed into its section; False where the file has none for it."""
    parts = _SECTION.split(file.read_text(encoding="utf-8"))
    command = f"`python -m tests.bench {name}`\n"
    for at, part in enumerate(parts):
        if command in part:
            parts[at] = _replaced(part, command, printed)
            file.write_text("".join(parts), encoding="utf-8")
            return True
    return False


def _replaced(section: str, command: str, printed: str) -> str:
    above, below = section.split(command, 1)
    remarks = below[below.index(BY_HAND) :] if BY_HAND in below else ""
    _, body = printed.strip().split("\n", 1)  # without its own title
    return f"{above}{command}\n{body.strip()}\n\n{remarks}"
