"""`citadel model`, as an operator goes through it."""

from pathlib import Path

import pytest
from commands import Citadel
from other_models import Others, lay_out, prepared


@pytest.fixture
def others(request: pytest.FixtureRequest, model_home: Path) -> Others:
    return prepared(request.config, model_home)


@pytest.fixture
def citadel(tmp_path: Path, others: Others) -> Citadel:
    return Citadel(lay_out(tmp_path / "data", others))


@pytest.mark.long
def test_a_model_comes_in_is_compared_takes_over_and_goes(
    citadel: Citadel, docs: Path, others: Others
) -> None:
    citadel("ingest", docs)
    added = citadel("model", "add", others.turned)
    assert (added.code, added.out.split(":")[0]) == (0, "added turned")
    refused = citadel("model", "switch", "turned", "--force")
    assert refused.code == 1 and "citadel model build turned" in refused.err
    built = citadel("model", "build")
    assert built.out.startswith("turned has a vector for every passage; 4 were made")
    refused = citadel("model", "switch", "turned")
    assert refused.code == 1 and "citadel model compare turned" in refused.err
    compared = citadel("model", "compare", "turned", "--json").json
    assert (compared["worse"], compared["questions"] > 0) == (False, True)
    assert citadel("model", "switch", "turned").out == "searching with turned\n"
    first, second = citadel("model", "list", "--json").json["models"]
    assert (first["state"], second["state"]) == ("previous", "current")
    assert first["vectors"] == second["vectors"] == 4
    assert citadel("ingest", docs, "--json").json["unchanged"] == 3
    assert citadel("model", "rollback").out == f"searching with {first['name']} again\n"
    assert citadel("model", "remove", "turned").out == "removed turned with 4 vectors\n"
    assert citadel("verify").code == 0


def test_what_cannot_be_done_is_said_in_one_line_and_a_hint(
    citadel: Citadel, tmp_path: Path
) -> None:
    assert citadel("model", "list").out.startswith("None yet")
    for arguments, code in (
        (("add", tmp_path), 2),
        (("build", "nothing"), 2),
        (("build",), 2),
        (("rollback",), 1),
    ):
        run = citadel("model", *arguments)
        assert (run.code, run.out) == (code, "")
        message, hint = run.err.splitlines()
        assert message.startswith("citadel: ") and hint.startswith("hint: ")
