"""What happens to models when something else happens at the same time, or a process is killed."""

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from model_steps import bring_level, build, opened, problems, states, switch

from ingest.level import Keeping
from ingest.progress import Lines
from ingest.site import open_site
from ingest.sync import carry_out, make_plan
from rag.errors import Conflict
from rag.models.building import LOCK_FILE, being_built, refuse_second
from rag.settings import Settings

COMMAND = (sys.executable, "-c", "from rag.cli import main; main()")
REPOSITORY = Path(__file__).parents[2]
PATIENCE_S = 60


def test_an_ingest_that_began_before_a_switch_ends_level_with_the_new_model(
    house: Settings, docs: Path
) -> None:
    (docs / "new.txt").write_text("Visitors sign in at the gate.\n")
    with open_site(house, Lines(io.StringIO())) as site:
        plan = make_plan(site, [docs], "default")
        switch(house, "turned")
        assert carry_out(site, plan, "default").added == 1
    assert problems(house) == []
    assert bring_level(house, docs).unchanged == 6


def test_during_an_ingest_what_it_stored_for_the_model_before_is_embedded_anew(
    house: Settings, docs: Path
) -> None:
    (docs / "new.txt").write_text("Visitors sign in at the gate.\n")
    bring_level(house, docs)
    with opened(house) as store:
        before = store.models.current()
        assert before is not None
        model = store.models.one("turned")
        keeping = Keeping(store, house, before.id, lambda: pytest.fail("the one before is loaded"))
        assert store.models.n_lacking(model) == 1
        with store._database.write() as connection:
            connection.exec_driver_sql("UPDATE models SET state = 'previous' WHERE reached >= 0")
            connection.exec_driver_sql("UPDATE models SET state = 'current' WHERE name = 'turned'")
        keeping._looked = 0
        keeping.look()
        assert store.models.n_lacking(model) == 0


def test_two_builds_at_once_are_refused_and_the_list_says_what_is_built(house: Settings) -> None:
    import fcntl

    assert being_built(house) is None
    with opened(house) as store:
        model_id = store.models.one("turned").id
    with (house.data_dir / LOCK_FILE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(model_id)
        lock.flush()
        assert being_built(house) == model_id
        with pytest.raises(Conflict, match="being built already"):
            build(house, "turned")
        with pytest.raises(Conflict, match="being built already"):
            refuse_second(house)
    assert being_built(house) is None
    refuse_second(house)


@pytest.mark.long
def test_a_killed_build_goes_on_where_it_was(house: Settings, docs: Path) -> None:
    sections = "".join(
        f"# Rule {n}\n\nMachine {n} stands in hall {n % 17}.\n\n" for n in range(1100)
    )
    (docs / "rules.md").write_text(sections)
    bring_level(house, docs)
    killed = 0
    while _kill_while_building(house):
        killed += 1
    assert killed >= 2
    assert states(house)["turned"] == "built"
    with opened(house) as store:
        counts = store.models.n_vectors()
        assert len(set(counts.values())) == 1 and min(counts.values()) > 1100
    switch(house, "turned")
    assert problems(house) == []


def _kill_while_building(house: Settings) -> bool:
    """Start a build and kill it once it has stored some more; False where it ends before that."""
    process = subprocess.Popen(
        [*COMMAND, "--data-dir", str(house.data_dir), "model", "build", "turned"],
        cwd=REPOSITORY,
        env={**os.environ, "CITADEL_EMBED_BACKEND": "openvino"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + PATIENCE_S
    with opened(house) as store:
        model_id = store.models.one("turned").id
        before = store.models.n_vectors()[model_id]
        while process.poll() is None and time.monotonic() < deadline:
            if store.models.n_vectors()[model_id] >= before + 250:
                process.kill()
            time.sleep(0.02)
    assert process.wait(PATIENCE_S) in (0, -9)
    return process.returncode == -9
