"""What ingest passes over: hidden files, what office programs leave lying about, `.citadelignore`.

`.citadelignore` has gitignore syntax and may lie in any folder; it rules that folder and what is
below, and the deepest file that says anything about a path decides, so `!.github/` in one brings a
hidden folder back. As with git, nothing below an ignored folder can be brought back. Files above
the folder that ingest was given are not looked at.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pathspec import GitIgnoreSpec

from rag.errors import IngestError

IGNORE_FILE = ".citadelignore"
DEFAULT_PATTERNS = (
    ".*",
    "~$*",  # Microsoft Office: the file is open
    "Thumbs.db",
    "desktop.ini",
    "$RECYCLE.BIN/",
    "System Volume Information/",
    "lost+found/",
)
_DEFAULTS = GitIgnoreSpec.from_lines(DEFAULT_PATTERNS)


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules in force in one folder, each with the folder that it is relative to."""

    specs: tuple[tuple[str, GitIgnoreSpec], ...]

    @classmethod
    def at(cls, root: str) -> Self:
        """The rules that hold where nothing else is said."""
        return cls(((_prefix(root), _DEFAULTS),))

    def within(self, folder: str) -> "Rules":
        """The rules in force inside `folder`: these, and its own `.citadelignore`.

        Raises:
            IngestError: its `.citadelignore` cannot be read or has a line that is no pattern.
        """
        file = Path(folder, IGNORE_FILE)
        try:
            text = file.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            return self
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(file, f"cannot be read: {error}") from error
        try:
            spec = GitIgnoreSpec.from_lines(text.splitlines())
        except ValueError as error:
            raise _unusable(file, f"has a line that is no pattern: {error}") from error
        return Rules((*self.specs, (_prefix(folder), spec)))

    def ignores(self, path: str, *, is_folder: bool) -> bool:
        """Whether an absolute path is to be passed over."""
        for prefix, spec in reversed(self.specs):
            relative = path[len(prefix) :] + ("/" if is_folder else "")
            verdict: bool | None = spec.check_file(relative).include
            if verdict is not None:
                return verdict
        return False


def _prefix(folder: str) -> str:
    return folder.rstrip("/") + "/"


def _unusable(file: Path, what: str) -> IngestError:
    """Without its rules a folder is not entered: it may hold what must not be shown to anyone."""
    return IngestError(
        f"{file} {what}", hint="Correct the file; until then its folder is left out."
    )
