"""Permissions from the file system to what a user may read, through whole runs."""

import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sync_steps import COLLECTION, counts, documents, touch

from ingest.access import ACCESS_FILE
from ingest.permissions import Permissions
from ingest.sync import Report, Site, carry_out, make_plan
from rag.cli.ingest import plan_json
from rag.cli.show import format_plan

ME = pwd.getpwuid(os.getuid()).pw_name  # whom the files of these tests belong to


@pytest.fixture
def shared(site: Site) -> Iterator[Path]:
    """Three files in a folder that everyone can enter; ME and zoe may read the collection."""
    with tempfile.TemporaryDirectory(prefix="citadel-shared-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "hr").mkdir(mode=0o755)
        for file, text in (
            ("travel.txt", "A hotel in London may cost up to 180 pounds a night."),
            ("hr/pay.txt", "Level four earns 61,000 pounds a year."),
            ("hr/leave.txt", "There are 26 days of leave."),
        ):
            touch(folder / file, text)
            (folder / file).chmod(0o644)
        if Permissions((), ()).through(name) is not None:
            pytest.skip("not everyone can enter the folder for temporary files")
        for user in (ME, "zoe"):
            site.store.permissions.add_principal("user", user)
        synced(site, folder, posix=True)
        for user in (ME, "zoe"):
            site.store.permissions.grant(COLLECTION, f"user:{user}", "read")
        yield folder


def synced(site: Site, folder: Path, *, posix: bool | None = None) -> Report:
    return carry_out(site, make_plan(site, [folder], COLLECTION, posix=posix), COLLECTION)


def seen(site: Site, user: str) -> list[str]:
    found = site.store.list_documents(site.store.access_of_user(user))
    return sorted(Path(document.source_uri).stem for document in found)


def test_a_changed_mode_is_in_force_with_the_next_run_and_nothing_is_read_anew(
    site: Site, shared: Path
) -> None:
    before = documents(site)
    assert seen(site, "zoe") == ["leave", "pay", "travel"]
    (shared / "hr" / "pay.txt").chmod(0o600)
    report = synced(site, shared)  # that permissions count is known from the run before
    assert (counts(report), report.relimited) == ({"unchanged": 3}, 1)
    assert (seen(site, ME), seen(site, "zoe")) == (["leave", "pay", "travel"], ["leave", "travel"])
    (shared / "hr").chmod(0o700)
    assert synced(site, shared).relimited == 1
    assert (seen(site, ME), seen(site, "zoe")) == (["leave", "pay", "travel"], ["travel"])
    (shared / "hr" / "pay.txt").rename(shared / "pay.txt")
    (shared / "pay.txt").chmod(0o644)
    assert counts(synced(site, shared)) == {"moved": 1, "unchanged": 2}
    assert seen(site, "zoe") == ["pay", "travel"]
    after = documents(site).values()
    assert {each.id for each in after} == {each.id for each in before.values()}


def test_a_part_or_more_than_what_counted_before_counts_until_none_is_said(
    site: Site, shared: Path
) -> None:
    (shared / "hr" / "pay.txt").chmod(0o600)
    (shared / "travel.txt").chmod(0o600)
    synced(site, shared / "hr")
    assert seen(site, "zoe") == ["leave", "travel"]
    synced(site, shared.parent / shared.name)
    assert seen(site, "zoe") == ["leave"]
    synced(site, shared, posix=False)
    assert seen(site, "zoe") == ["leave", "pay", "travel"]
    assert synced(site, shared).relimited == 0


def test_an_access_file_opens_nothing_that_permissions_close(site: Site, shared: Path) -> None:
    (shared / "hr" / "pay.txt").chmod(0o600)
    (shared / ACCESS_FILE).write_text("read: []")
    (shared / "hr" / ACCESS_FILE).write_text("read: everyone")
    synced(site, shared)
    assert (seen(site, ME), seen(site, "zoe")) == (["leave", "pay"], ["leave"])


def test_a_plan_says_how_many_files_are_limited_and_who_is_unknown(
    site: Site, shared: Path
) -> None:
    (shared / "hr" / "pay.txt").chmod(0o600)
    plan = make_plan(site, [shared], COLLECTION)
    assert (plan.n_limited, plan.strangers, plan.is_empty) == (1, [], True)
    assert format_plan(plan) == "1 file not for everyone, by permissions\n3 unchanged"
    assert plan_json(plan)["limited"] == 1
    site.store.permissions.remove_principal("user", ME)
    plan = make_plan(site, [shared], COLLECTION)
    assert plan.strangers == ([] if ME == "root" else [f"user {ME}"])
    assert seen(site, "zoe") == ["leave", "pay", "travel"], "a plan changes nothing"
