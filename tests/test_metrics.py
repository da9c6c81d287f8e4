"""What is counted of answers and verdicts, as Prometheus reads it."""

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from rag.answer.engine import Usage
from rag.answer.events import Final, Notice, Searched, Status, Support
from rag.answer.guard import Verdict
from rag.metrics import Metrics

SEARCHED = Searched("query", ("hr",), 3, 2)


def final(engine: str = "llama", *, status: Status = "answered", **more: object) -> Final:
    known = {"timings_ms": {"total": 1500.0}} | more
    return Final(
        status=status,
        question="Who earns what?",
        answer="",
        citations=(),
        related=(),
        searched=SEARCHED,
        evidence=0.9,
        engine=engine,
        request_id="r",
        **known,  # type: ignore[arg-type]
    )


def samples(metrics: Metrics) -> dict[str, float]:
    """The samples by name and label values, labels sorted, as Prometheus' own parser reads them."""
    body, content_type = metrics.render()
    assert content_type.startswith("application/openmetrics-text")
    return {
        " ".join(
            [sample.name, *(value for _, value in sorted(sample.labels.items()))]
        ): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def test_answers_are_counted_by_outcome_and_by_what_wrote_them() -> None:
    metrics = Metrics()
    for made in (final(), final("another-model"), final("extractive", status="no_evidence")):
        metrics.answered(made)
    found = samples(metrics)
    assert found["citadel_questions_total engine answered"] == 2
    assert found["citadel_questions_total quotes no_evidence"] == 1
    assert found["citadel_answer_seconds_sum engine"] == 3.0


def test_the_share_of_supported_sentences_can_be_computed() -> None:
    metrics = Metrics()
    metrics.answered(final(support=Support(10, 7, n_dropped=2, n_unknown_keys=3)))
    found = samples(metrics)
    outcomes = ("supported", "unsupported", "left_out")
    assert [found[f"citadel_sentences_total {outcome}"] for outcome in outcomes] == [7, 1, 2]
    assert found["citadel_unknown_citations_total"] == 3


def test_quotes_do_not_count_as_sentences_that_were_checked() -> None:
    metrics = Metrics()
    metrics.answered(final("extractive", support=Support(3, 3)))
    assert not [name for name in samples(metrics) if name.startswith("citadel_sentences_total")]


def test_tokens_count_also_where_the_engine_broke_off_and_quotes_were_given() -> None:
    metrics = Metrics()
    metrics.answered(final(usage=Usage(100, 20, 64)))
    notices = (Notice("fallback", "These are quotes."),)
    metrics.answered(final("extractive", usage=Usage(50, 5), notices=notices))
    found = samples(metrics)
    kinds = ("read", "cached", "written")
    assert [found[f"citadel_engine_tokens_total {kind}"] for kind in kinds] == [150, 64, 25]
    assert found["citadel_notices_total fallback"] == 1


def test_only_an_answer_that_had_a_first_token_counts_for_the_time_to_it() -> None:
    metrics = Metrics()
    metrics.answered(final(timings_ms={"total": 900.0, "first_token": 250.0}))
    metrics.answered(final(status="blocked"))
    found = samples(metrics)
    assert found["citadel_first_token_seconds_count"] == 1
    assert found["citadel_first_token_seconds_sum"] == 0.25


def test_verdicts_are_counted_with_what_followed_and_why() -> None:
    metrics = Metrics()
    metrics.verdict(Verdict("block", "unsafe", ("S1", "S10"), 0.9, ms=100.0))
    metrics.verdict(Verdict("block", "none", reason="slow", ms=5000.0))
    found = samples(metrics)
    assert found["citadel_guard_verdicts_total block unsafe "] == 1
    assert found["citadel_guard_verdicts_total block none slow"] == 1
    assert found["citadel_guard_categories_total S10"] == 1
    assert found["citadel_guard_seconds_sum"] == 5.1


def test_no_word_of_a_question_or_of_a_model_s_name_is_exported() -> None:
    metrics = Metrics()
    metrics.answered(final("payroll-model", categories=("S7",)))
    text = metrics.render()[0].decode()
    assert "earns" not in text
    assert "payroll" not in text


def test_each_has_its_own_counters_and_those_of_the_process() -> None:
    one, other = Metrics(), Metrics()
    one.answered(final())
    name = "citadel_questions_total engine answered"
    assert (name in samples(one), name in samples(other)) == (True, False)
    assert samples(other)["process_resident_memory_bytes"] > 0
