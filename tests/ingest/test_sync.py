import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sync_steps import counts, documents, mail, plan, sync, text, touch

from ingest.sync import Site
from rag.errors import BadRequest, IngestError
from rag.types import IndexRow


def rows(site: Site) -> list[IndexRow]:
    with site.store.reading() as (_, batches):
        return [row for batch in batches for row in batch]


def test_a_folder_is_ingested_and_counted(site: Site, docs: Path) -> None:
    report = sync(site, docs)

    assert counts(report) == {"added": 3}
    assert report.documents == 3
    assert report.chunks == len(rows(site))
    assert site.store.check() == []


def test_a_second_run_does_nothing_and_reads_nothing(site: Site, docs: Path) -> None:
    sync(site, docs)
    head = site.store.head()
    for path in docs.rglob("*"):  # same size and time: nobody may look at what is in them
        if path.is_file():
            status = path.stat()
            path.write_bytes(b"x" * status.st_size)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    report = sync(site, docs)

    assert counts(report) == {"unchanged": 3}
    assert site.store.head() == head


def test_a_new_time_without_new_content_is_recorded_and_nothing_else(
    site: Site, docs: Path
) -> None:
    sync(site, docs)
    head = site.store.head()
    os.utime(docs / "travel.md", ns=(5, 5))

    assert counts(sync(site, docs)) == {"unchanged": 3}
    assert site.store.head() == head
    assert plan(site, docs).is_empty


@pytest.mark.parametrize("year", [1601, 2300])
def test_a_time_that_no_database_holds_keeps_no_file_out(year: int, site: Site, docs: Path) -> None:
    moment = datetime(year, 1, 2, tzinfo=UTC).timestamp()
    os.utime(docs / "travel.md", (moment, moment))

    assert counts(sync(site, docs)) == {"added": 3}
    assert counts(sync(site, docs)) == {"unchanged": 3}
    travel = documents(site)[str(docs / "travel.md")]
    assert site.store.days(site.store.access_to_all(), [travel.id])[travel.id] > "1677"


def test_a_changed_file_replaces_its_chunks(site: Site, docs: Path) -> None:
    sync(site, docs)
    touch(docs / "sub" / "opening.txt", "The canteen opens at noon.\n")

    assert counts(sync(site, docs)) == {"updated": 1, "unchanged": 2}
    assert text(site, docs / "sub" / "opening.txt") == "The canteen opens at noon."
    assert not any("eleven" in row.text for row in rows(site))
    assert site.store.check() == []


def test_a_file_that_is_gone_is_removed(site: Site, docs: Path) -> None:
    sync(site, docs)
    (docs / "prices.csv").unlink()

    report = sync(site, docs)

    assert counts(report) == {"removed": 1, "unchanged": 2}
    assert str(docs / "prices.csv") not in documents(site)
    assert not any("bolt" in row.text for row in rows(site))


def test_a_file_that_is_ignored_from_now_on_is_removed(site: Site, docs: Path) -> None:
    sync(site, docs)
    (docs / ".citadelignore").write_text("sub/\n")

    assert counts(sync(site, docs)) == {"removed": 1, "unchanged": 2}


def test_a_moved_folder_keeps_documents_and_chunks_and_is_not_embedded_again(
    site: Site, docs: Path
) -> None:
    sync(site, docs)
    before = {row.chunk_id for row in rows(site)}
    (docs / "sub").rename(docs / "later")

    report = sync(site, docs)

    assert counts(report) == {"moved": 1, "unchanged": 2}
    assert str(docs / "later" / "opening.txt") in documents(site)
    assert {row.chunk_id for row in rows(site)} == before
    assert counts(sync(site, docs)) == {"unchanged": 3}


def test_two_files_that_exchange_their_names_are_both_right_afterwards(
    site: Site, docs: Path
) -> None:
    sync(site, docs)
    old = (docs / "travel.md").read_text()
    touch(docs / "travel.md", "# Canteen\n\nIt is closed.\n")
    (docs / "policy.md").write_text(old)

    report = sync(site, docs)

    assert counts(report) == {"added": 1, "updated": 1, "unchanged": 2}
    assert "closed" in text(site, docs / "travel.md")
    assert "London" in text(site, docs / "policy.md")


def test_a_copy_is_a_document_of_its_own(site: Site, docs: Path) -> None:
    sync(site, docs)
    shutil.copy(docs / "travel.md", docs / "copy.md")

    assert counts(sync(site, docs)) == {"added": 1, "unchanged": 3}


def test_another_chunker_makes_everything_anew(site: Site, docs: Path) -> None:
    sync(site, docs)

    other = replace(site, recipe=site.recipe._replace(chunker="another"))

    assert counts(sync(other, docs)) == {"updated": 3}
    assert counts(sync(other, docs)) == {"unchanged": 3}


def test_a_failed_file_is_listed_again_but_not_read_again(site: Site, docs: Path) -> None:
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7\n this is not a document")

    first = sync(site, docs)
    second = sync(site, docs)

    assert counts(first) == {"added": 3, "failed": 1}
    assert counts(second) == {"unchanged": 3, "failed": 1}
    assert first.failed == second.failed
    assert first.failed[0].path == str(docs / "broken.pdf")
    assert first.failed[0].error and first.failed[0].hint
    assert [f.uri for _, f in site.store.failures()] == [str(docs / "broken.pdf")]


def test_a_failed_file_that_was_mended_is_ingested_and_no_longer_listed(
    site: Site, docs: Path
) -> None:
    touch(docs / "late.txt", "")
    assert counts(sync(site, docs)) == {"added": 3, "failed": 1}
    touch(docs / "late.txt", "Now there is something in it.\n")

    assert counts(sync(site, docs)) == {"added": 1, "unchanged": 3}
    assert site.store.failures() == []


def test_an_ingested_file_that_breaks_no_longer_answers(site: Site, docs: Path) -> None:
    sync(site, docs)
    touch(docs / "travel.md", "")

    assert counts(sync(site, docs)) == {"unchanged": 2, "failed": 1}
    assert str(docs / "travel.md") not in documents(site)


def test_a_failure_that_may_pass_is_tried_again(site: Site, docs: Path) -> None:
    settings = site.settings.model_copy(update={"parse_timeout_s": 0.001})
    hurried = replace(site, settings=settings)
    assert counts(sync(hurried, docs)) == {"failed": 3}

    assert counts(sync(site, docs)) == {"added": 3}


def test_attachments_become_documents_linked_to_their_mail(site: Site, docs: Path) -> None:
    inner = mail("Inner", "The inner mail says that the lift is being repaired.")
    outer = mail(
        "Minutes", "The minutes are attached.", ("minutes.md", b"# Minutes\n\nWe agreed on blue.\n")
    )
    (docs / "a.eml").write_bytes(outer)
    (docs / "b.eml").write_bytes(mail("Outer", "See the other mail.", ("inner.eml", inner)))

    report = sync(site, docs)

    assert counts(report) == {"added": 5}
    found = documents(site)
    minutes = found[f"{docs}/a.eml#1/minutes.md"]
    assert minutes.parent_id == found[f"{docs}/a.eml"].id
    assert "lift" in text(site, Path(f"{docs}/b.eml#1/inner.eml"))
    assert report.documents == 7
    assert counts(sync(site, docs)) == {"unchanged": 5}


def test_a_failing_attachment_is_listed_and_does_not_fail_its_mail(site: Site, docs: Path) -> None:
    path = docs / "a.eml"
    path.write_bytes(
        mail("Two", "Two things.", ("bad.pdf", b"%PDF-1.7 no"), ("ok.txt", b"This can be read."))
    )

    first = sync(site, docs)
    second = sync(site, docs)

    assert counts(first) == {"added": 4, "failed": 1}
    assert counts(second) == {"unchanged": 4, "failed": 1}
    assert first.failed == second.failed
    assert first.failed[0].path == f"{path}#1/bad.pdf"
    assert any("bad.pdf" in warning for warning in documents(site)[str(path)].warnings)
    assert f"{path}#2/ok.txt" in documents(site)


def test_the_failed_attachment_goes_and_comes_with_its_mail(site: Site, docs: Path) -> None:
    path = docs / "a.eml"
    path.write_bytes(mail("One", "One thing.", ("bad.pdf", b"%PDF-1.7 no")))
    sync(site, docs)

    path.rename(docs / "b.eml")
    moved = sync(site, docs)
    assert counts(moved) == {"moved": 1, "unchanged": 3, "failed": 1}
    assert moved.failed[0].path == f"{docs}/b.eml#1/bad.pdf"
    assert counts(sync(site, docs)) == {"unchanged": 4, "failed": 1}

    (docs / "b.eml").write_bytes(mail("One", "One thing.", ("good.txt", b"This can be read.")))
    assert counts(sync(site, docs)) == {"updated": 1, "unchanged": 3}
    assert site.store.failures() == []

    (docs / "b.eml").write_bytes(mail("One", "One thing.", ("bad.pdf", b"%PDF-1.7 no")))
    sync(site, docs)
    (docs / "b.eml").unlink()
    assert counts(sync(site, docs)) == {"removed": 1, "unchanged": 3}
    assert site.store.failures() == []


def test_mails_nested_without_end_are_read_to_a_depth(site: Site, tmp_path: Path) -> None:
    content = mail("0", "The innermost mail.")
    for depth in range(1, 6):
        content = mail(str(depth), f"The mail at {depth}.", ("inner.eml", content))
    path = tmp_path / "nested.eml"
    path.write_bytes(content)

    report = sync(site, path)

    assert report.documents == 4
    assert len(report.failed) == 1
    assert "deep" in report.failed[0].error
    assert counts(sync(site, path)) == {"unchanged": 1, "failed": 1}


def test_a_root_that_does_not_exist_changes_nothing(site: Site, docs: Path) -> None:
    sync(site, docs)

    with pytest.raises(BadRequest):
        sync(site, docs, docs.parent / "nothing")
    assert len(documents(site)) == 3


def test_a_folder_that_is_suddenly_empty_is_not_believed(site: Site, docs: Path) -> None:
    sync(site, docs)
    shutil.rmtree(docs)
    docs.mkdir()

    with pytest.raises(IngestError, match="is empty now") as raised:
        sync(site, docs)

    assert "--allow-empty" in raised.value.hint
    assert len(documents(site)) == 3
    assert counts(sync(site, docs, allow_empty=True)) == {"removed": 3}
    assert documents(site) == {}


def test_a_path_that_is_gone_for_good_can_be_emptied(site: Site, docs: Path) -> None:
    sync(site, docs)
    shutil.rmtree(docs)

    assert counts(sync(site, docs, allow_empty=True)) == {"removed": 3}


def test_what_lies_in_a_folder_that_cannot_be_looked_into_is_kept(site: Site, docs: Path) -> None:
    sync(site, docs)
    (docs / "sub" / ".citadelignore").write_bytes(b"\xff\xfe\xff")

    report = sync(site, docs)

    assert counts(report) == {"unchanged": 3, "failed": 1}
    assert "is kept" in report.failed[0].hint
    (docs / "sub" / ".citadelignore").unlink()
    assert counts(sync(site, docs)) == {"unchanged": 3}
    assert site.store.failures() == []


def test_overlapping_roots_are_ingested_once(site: Site, docs: Path) -> None:
    assert counts(sync(site, docs, docs / "sub", docs / "travel.md")) == {"added": 3}
    assert counts(sync(site, docs / "sub", docs)) == {"unchanged": 3}


def test_one_folder_leaves_the_others_documents_alone(site: Site, docs: Path) -> None:
    sync(site, docs)

    assert counts(sync(site, docs / "sub")) == {"unchanged": 1}
    (docs / "sub" / "opening.txt").rename(docs / "sub" / "new.txt")
    assert counts(sync(site, docs / "sub")) == {"moved": 1}
    assert len(documents(site)) == 3


def test_the_parsers_read_a_copy_that_is_kept(site: Site, docs: Path) -> None:
    sync(site, docs)

    for document in documents(site).values():
        kept = site.store.originals.path(document.content_sha256)
        assert kept.read_bytes() == Path(document.source_uri).read_bytes()
