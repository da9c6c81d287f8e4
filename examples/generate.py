"""Write the sample documents from the content files; the same bytes every time.

    python examples/generate.py [FOLDER]

A content file names in its header where it goes (`to`), how it is set (`as`, else by the suffix),
its title, author and date. What a previous run wrote and this one did not is removed.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from typeset.markup import Content, read_content
from typeset.office import write_docx, write_pandoc, write_pptx, write_xlsx
from typeset.pdf import write_pdf
from typeset.text import write_html, write_mail, write_table, write_text

HERE = Path(__file__).parent
BROKEN = Path("demonstration/broken-on-purpose.pdf")
BROKEN_FROM = Path("finance/fee-schedule-2026.pdf")
BROKEN_BYTES = 700  # ends before the page tree, so that no reader can mend it
IGNORE = """\
# What Citadel leaves out, in gitignore's syntax.
drafts/
~$*
"""

WRITERS: dict[str, Callable[[Content], bytes]] = {
    ".pdf": write_pdf,
    ".docx": write_docx,
    ".pptx": write_pptx,
    ".xlsx": write_xlsx,
    ".odt": write_pandoc,
    ".rtf": write_pandoc,
    ".html": write_html,
    ".csv": write_table,
    ".tsv": write_table,
    ".json": write_table,
    ".md": write_text,
    ".txt": write_text,
}


def documents() -> Iterator[tuple[Path, bytes]]:
    """Every file of the sample, as a path inside the folder and its bytes."""
    contents = [read_content(path) for path in sorted((HERE / "content").glob("*.md"))]
    made = {c.target: WRITERS[c.target.suffix](c) for c in contents if c.target.suffix != ".eml"}
    for content in contents:
        if content.target.suffix == ".eml":
            names = [Path(name) for name in content.header.get("attach", "").split()]
            yield content.target, write_mail(content, {name: made[name] for name in names})
    attached = {Path(name) for c in contents for name in c.header.get("attach", "").split()}
    yield from ((path, data) for path, data in made.items() if path not in attached)
    yield BROKEN, made[BROKEN_FROM][:BROKEN_BYTES]
    yield Path(".citadelignore"), IGNORE.encode()


def main() -> None:
    """Write all files and remove those that are no longer part of the sample."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "documents"
    written = set()
    for name, data in documents():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        written.add(path)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() and path not in written:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    print(
        f"{len(written)} files, {sum(path.stat().st_size for path in written):,} bytes in {folder}"
    )


if __name__ == "__main__":
    main()
