"""What the tests of sync say in one word: sync, and look at what came of it."""

import os
from email.message import EmailMessage
from pathlib import Path

from ingest.plan import Plan
from ingest.sync import Report, Site, carry_out, make_plan
from rag.types import Document

COLLECTION = "default"


def data_dir(parent: Path, models: Path) -> Path:
    """A data folder that has the converted model already."""
    folder = parent / "data"
    folder.mkdir(mode=0o700)
    (folder / "models").symlink_to(models)
    return folder


def sync(site: Site, *paths: Path, allow_empty: bool = False) -> Report:
    return carry_out(site, plan(site, *paths, allow_empty=allow_empty), COLLECTION)


def plan(site: Site, *paths: Path, allow_empty: bool = False) -> Plan:
    return make_plan(site, paths, COLLECTION, allow_empty=allow_empty)


def counts(report: Report) -> dict[str, int]:
    """What was done, without what wasn't."""
    fields = ("added", "updated", "moved", "unchanged", "removed")
    found = {name: getattr(report, name) for name in fields} | {"failed": len(report.failed)}
    return {name: n for name, n in found.items() if n}


def documents(site: Site) -> dict[str, Document]:
    """The stored documents by URI."""
    access = site.store.access_to_all()
    return {d.source_uri: d for d in site.store.list_documents(access, limit=1000)}


def text(site: Site, path: Path) -> str:
    document = documents(site)[str(path)]
    return site.store.text(site.store.access_to_all(), document.id)


def touch(path: Path, text: str) -> None:
    """Change a file, and its time for certain."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    stat = path.stat()
    if stat.st_mtime_ns <= before:
        os.utime(path, ns=(stat.st_atime_ns, before + 1))


def mail(subject: str, body: str, *attachments: tuple[str, bytes]) -> bytes:
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = "ada@example.com"
    message["To"] = "ben@example.com"
    message["Date"] = "Mon, 05 Feb 2024 10:00:00 +0000"
    message.set_content(body)
    for name, data in attachments:
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()
