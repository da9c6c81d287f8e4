"""Formats that another program turns into one that we read.

pandoc makes HTML of RTF, ODT, EPUB and reStructuredText, LibreOffice makes OOXML of DOC and PPT.

Both run as children of the worker, inside its sandbox, in its process group and in its private
temporary folder, so the pool's time limit ends them too.
"""

import os
import resource
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec
import pypandoc
from lxml import etree

from ingest.parse import archives
from ingest.parse.formats import MEDIA_TYPES, Format, encrypted
from ingest.parse.model import Element, Parsed
from ingest.parse.properties import finished, first_title
from rag import sandbox
from rag.errors import ParseError

_READERS = {Format.RST: "rst", Format.RTF: "rtf", Format.ODT: "odt", Format.EPUB: "epub"}
_PARTITIONED = {Format.RST, Format.RTF}  # `ingest.parse` says why not the others
_CPU_SECONDS = 900  # ends a child whose worker was killed together with the whole product
_TEMPLATE = """<html><head><title>$title$</title>
$for(author)$<meta name="author" content="$author$">$endfor$
$for(date)$<meta name="date" content="$date$">$endfor$</head><body>
$body$
</body></html>
"""
_PACKAGES = {Format.DOC: "libreoffice-writer-nogui", Format.PPT: "libreoffice-impress-nogui"}


def parse_by_pandoc(path: Path, found: Format) -> Parsed:
    """RTF, ODT, EPUB or reStructuredText, read as the HTML that pandoc makes of it."""
    from ingest.parse.markup import parse_html_text

    if found in {Format.ODT, Format.EPUB}:
        archives.check(path)
    if found is Format.ODT:
        _check_odt(path)
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "page.html"
        template.write_text(_TEMPLATE)
        arguments = ["--sandbox", "--from", _READERS[found], "--to", "html", "--wrap=none"]
        arguments += ["--template", str(template), "--output", f"{folder}/out.html", str(path)]
        _run([pypandoc.get_pandoc_path(), *arguments], folder)
        html = (Path(folder) / "out.html").read_text(encoding="utf-8")
    parsed = parse_html_text(html, media_type=MEDIA_TYPES[found])
    if found in _PARTITIONED:
        from ingest.parse.partition import html_elements

        parsed = msgspec.structs.replace(parsed, elements=html_elements(html))
    if parsed.title and parsed.title != first_title(parsed.elements):
        parsed.elements.insert(0, Element("title", parsed.title))
    return _with_odt_properties(parsed, path) if found is Format.ODT else parsed


def parse_by_soffice(path: Path, found: Format) -> Parsed:
    """DOC or PPT, read as the DOCX or PPTX that LibreOffice makes of it.

    Raises:
        ParseError: `needs_program` where LibreOffice is not installed.
    """
    from ingest.parse.slides import parse_pptx
    from ingest.parse.word import parse_docx

    program = shutil.which("soffice") or shutil.which("libreoffice")
    if program is None:
        raise needs_libreoffice()
    target = "docx" if found is Format.DOC else "pptx"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / f"in.{found.name.lower()}"
        source.symlink_to(path.absolute())
        profile = Path(tempfile.gettempdir()) / "soffice"  # kept for the worker's next file
        options = [f"-env:UserInstallation={profile.as_uri()}", "--headless", "--norestore"]
        convert = ["--convert-to", target, "--outdir", f"{folder}/out", str(source)]
        _run([program, *options, *convert], folder)
        made = Path(folder) / "out" / f"in.{target}"
        if not made.exists():
            raise _failed(f"LibreOffice (with {_PACKAGES[found]}) does not open it")
        parsed = parse_docx(made) if found is Format.DOC else parse_pptx(made)
    return msgspec.structs.replace(parsed, media_type=MEDIA_TYPES[found])


def needs_libreoffice() -> ParseError:
    """The error for an old Office file on a machine without LibreOffice."""
    return ParseError(
        "needs_program",
        "old Office files (DOC, PPT) need LibreOffice, which is not installed",
        hint="install it with: apt-get install libreoffice-writer-nogui libreoffice-impress-nogui",
        retry=True,
    )


def _run(command: Sequence[str], folder: str) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=partial(_bind_child, os.getpid()),  # safe: a worker has one thread
        check=False,
    )
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise _failed(lines[0][:200] if lines else f"exit code {done.returncode}")


def _bind_child(worker_pid: int) -> None:
    sandbox.die_with_parent(worker_pid)
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    os.umask(0o077)


def _failed(detail: str) -> ParseError:
    return ParseError(
        "damaged",
        f"the file is damaged or not what it claims to be ({detail})",
        hint="Open it in its application and save it anew, or export it as PDF.",
    )


def _check_odt(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        if "META-INF/manifest.xml" not in archive.namelist():
            return
        if b"encryption-data" in archive.read("META-INF/manifest.xml"):
            raise encrypted()


def _with_odt_properties(parsed: Parsed, path: Path) -> Parsed:
    """Title and metadata as the file's application wrote them; pandoc passes them over."""
    with zipfile.ZipFile(path) as archive:
        if "meta.xml" not in archive.namelist():
            return parsed
        meta = archive.read("meta.xml")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True)
    root = etree.fromstring(meta, parser)
    found = {} if root is None else {etree.QName(n).localname: n.text for n in root.iter("{*}*")}
    return finished(
        parsed,
        title=found.get("title"),
        metadata=parsed.metadata
        | {
            "author": found.get("initial-creator") or found.get("creator"),
            "created": found.get("creation-date"),
            "modified": found.get("date"),
            "subject": found.get("subject"),
        },
    )
