import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from library import put
from small_sets import write_lines

from rag.answer.options import Options
from rag.appliance import Appliance
from rag.errors import BadRequest
from rag.eval.answers import Answers, evaluate_answers, is_of
from rag.eval.calibrate import Scored, calibrate
from rag.eval.html import page
from rag.eval.plots import COLOURS, differences
from rag.eval.report import compare, report_json
from rag.eval.sets import load_questions
from rag.eval.statistics import Difference
from rag.settings import Settings

DOCUMENTS = {
    "/srv/travel.md": "A hotel in London may cost up to 180 pounds a night.",
    "/srv/canteen.txt": "The canteen opens at half past eleven and closes at two.",
}
QUESTIONS: tuple[dict[str, object], ...] = (
    {
        "id": "hotel",
        "question": "What may a hotel in London cost a night?",
        "file": "travel.md",
        "answer": "180 pounds",
    },
    {
        "id": "canteen",
        "question": "When does the canteen open?",
        "documents": ["/srv/canteen.txt", "opening-hours.pdf"],
        "answers": ["at noon", "half past eleven"],
    },
    {"id": "horse", "question": "Which vet treats the chairman's racehorse?", "answerable": False},
    {"id": "lost", "question": "Who won the chess tournament of 1987?", "file": "chess.txt"},
)


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory, model_home: Path) -> Iterator[Appliance]:
    data_dir = tmp_path_factory.mktemp("answers") / "data"
    data_dir.mkdir()
    (data_dir / "models").symlink_to(model_home / "models")
    with Appliance(Settings(data_dir=data_dir, embed_backend="openvino")) as opened:
        for uri, text in DOCUMENTS.items():
            put(opened.store, opened.embedder, uri, text)
        yield opened


def ask(appliance: Appliance, file: Path, rows: tuple[dict[str, object], ...]) -> Answers:
    questions = load_questions(write_lines(file, rows))
    access = appliance.store.access_to_all()
    return asyncio.run(evaluate_answers("ours", questions, appliance, access, Options()))


def test_answers_are_judged_by_what_is_expected(appliance: Appliance, tmp_path: Path) -> None:
    report = ask(appliance, tmp_path / "ours.jsonl", QUESTIONS).report
    told = report_json(report)

    assert told["questions"] == 4 and told["answered"] == 0.5
    assert report.values["abstained_rightly"] == {"horse": 1.0}
    assert report.values["abstained_wrongly"] == {"hotel": 0.0, "canteen": 0.0, "lost": 1.0}
    assert report.values["citation_precision"] == {"hotel": 1.0, "canteen": 1.0}
    assert report.values["citation_recall"] == {"hotel": 1.0, "canteen": 0.5}
    assert report.values["answer_found"] == {"hotel": 1.0, "canteen": 1.0}
    assert told["supported"] == 1.0, "quotes are"
    assert 0 < told["latency_p50_ms"] <= told["latency_p95_ms"] <= told["latency_p99_ms"]
    assert told["intervals"].keys() == told["counts"].keys()


def test_what_went_worst_comes_first_and_what_is_missing_is_said(
    appliance: Appliance, tmp_path: Path
) -> None:
    report = ask(appliance, tmp_path / "ours.jsonl", QUESTIONS).report
    assert [hard.question for hard in report.hardest] == ["lost", "canteen"]
    [note] = report.notes
    assert note.startswith("2 expected documents are not there") and "chess.txt" in note


def test_a_caller_without_documents_is_told_so(appliance: Appliance, tmp_path: Path) -> None:
    questions = load_questions(write_lines(tmp_path / "ours.jsonl", QUESTIONS))
    access = appliance.store.access_to_all().within([])
    with pytest.raises(BadRequest, match="none of the documents may be read"):
        asyncio.run(evaluate_answers("ours", questions, appliance, access, Options()))


def test_an_explicit_null_answer_means_that_there_is_none(tmp_path: Path) -> None:
    [question] = load_questions(
        write_lines(tmp_path / "q", [{"question": "Who?", "file": None, "answer": None}])
    )
    assert question.gold.answerable is False


def test_a_document_is_known_by_its_uri_its_path_or_its_name() -> None:
    assert is_of("/srv/a/Plan.pdf", "plan.pdf")
    assert is_of("/srv/a/Plan.pdf", "a/Plan.pdf") and is_of("/srv/a/Plan.pdf", "Plan")
    assert is_of("/srv/mail.eml#1/plan.pdf", "mail.eml")
    assert not is_of("/srv/a/myplan.pdf", "plan.pdf")
    assert not is_of("/srv/b/plan.pdf", "a/plan.pdf")


def test_the_fitted_threshold_parts_the_two_kinds() -> None:
    yes = [Scored(0.60 + i / 100, True) for i in range(30)]
    no = [Scored(0.20 + i / 100, False) for i in range(30)]
    curve = calibrate([*yes, *no, Scored(0.5, None)], current=0.3)

    assert 0.49 <= curve.low <= curve.fitted <= curve.high <= 0.65
    assert curve.at(curve.fitted) == (1.0, 1.0)
    assert curve.at(0.3)[0] == 1.0 and curve.at(0.3)[1] < 0.5
    assert (curve.n_answerable, curve.n_unanswerable) == (30, 30)


def test_too_few_questions_of_one_kind_fit_nothing() -> None:
    scored = [*(Scored(0.5, True) for _ in range(50)), *(Scored(0.1, False) for _ in range(9))]
    with pytest.raises(BadRequest, match="50 answerable and 9 unanswerable") as caught:
        calibrate(scored, current=0.4)
    assert "answerable" in caught.value.hint


def test_the_page_shows_the_curve_and_lets_no_text_become_markup(
    appliance: Appliance, tmp_path: Path
) -> None:
    rows = (*QUESTIONS, {"id": "x", "question": "<script>alert(1)</script> & <b>?", "answer": None})
    report = ask(appliance, tmp_path / "ours.jsonl", rows).report
    curve = calibrate([Scored(i / 40, i > 20) for i in range(40)], current=0.4)

    drawn = page(report, None, curve)

    assert "answered 0.00</span>" in drawn, "each of the hardest with what it did badly in"
    assert drawn.count("<svg") == 2
    assert f"CITADEL_ANSWER_THRESHOLD={curve.fitted:.2f}" in drawn
    assert "<script" not in drawn and "http" not in drawn and "<b>" not in drawn
    assert json.dumps(report_json(report))


def test_what_changed_is_green_where_it_is_better_and_orange_where_it_is_worse() -> None:
    rise, fall = Difference(0.1, 0.3, 0.1, 0.3, 0.001), Difference(0.3, 0.1, -0.3, -0.1, 0.0004)
    green, orange = (f"stroke: {COLOURS[i]}" for i in (2, 1))

    assert green in (better := differences({"answered": rise})) and orange not in better
    assert orange in (worse := differences({"abstained_wrongly": rise})) and green not in worse
    assert green in differences({"abstained_wrongly": fall})
    assert green not in (even := differences({"answered": Difference(0.1, 0.2, -0.1, 0.3, 0.4)}))
    assert orange not in even


def test_times_are_compared_by_their_mean(appliance: Appliance, tmp_path: Path) -> None:
    report = ask(appliance, tmp_path / "ours.jsonl", QUESTIONS).report
    found = compare(report, report)
    assert "latency_mean_ms" in found.metrics and "latency_ms" not in found.metrics
    assert "latency_mean_ms" in page(report, found)
