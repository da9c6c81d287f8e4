"""What this process has done, for Prometheus. Counts and times; never a word of anybody's.

Labels have few values, all ours: no question, no name and no model's own word is one.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from rag.errors import CitadelError

if TYPE_CHECKING:
    from rag.answer.admission import Admission
    from rag.answer.events import Final, Support
    from rag.answer.guard import Verdict

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160)
VERDICT_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
QUOTES = "extractive"


class Metrics:
    """The counters of one process, in a registry of their own. Thread-safe."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        count, time = self._counter, self._histogram
        self._questions = count("questions", "Questions, by outcome.", "status", "by")
        self._sentences = count(
            "sentences",
            "Sentences that an engine wrote: supported by what they cite, not so, or left out.",
            "outcome",
        )
        self._unknown = count("unknown_citations", "Citations of nothing, removed.")
        self._tokens = count(
            "engine_tokens",
            "Tokens read, of these found in the prefix cache, and written.",
            "kind",
        )
        self._notices = count("notices", "Notices to readers.", "kind")
        self._seconds = time("answer", "From a question to the end of its answer.", SECONDS, "by")
        self._first = time(
            "first_token", "From the engine's being asked to its first token.", SECONDS
        )
        self._verdicts = count(
            "guard_verdicts",
            "Verdicts of the guard, and what followed.",
            *("action", "label", "reason"),
        )
        self._categories = count(
            "guard_categories", "Categories that the guard has named.", "category"
        )
        self._verdict_seconds = time(
            "guard", "From asking the guard to its verdict.", VERDICT_SECONDS
        )
        self._gauges = {
            name: Gauge(f"citadel_engine_{name}", text, registry=self._registry)
            for name, text in (
                ("running", "Requests that the engine works on for this process."),
                ("waiting", "Requests that wait for it here."),
                ("kv_tokens_used", "Tokens of its cache that they hold."),
                ("kv_tokens", "Tokens that its cache has."),
            )
        }

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"citadel_{name}", text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        name = f"citadel_{name}_seconds"
        return Histogram(name, text, labels, buckets=buckets, registry=self._registry)

    def failed(self, error: CitadelError) -> None:
        """Count a question that has no answer at all, by the HTTP status of its error."""
        self._questions.labels(f"error_{error.status}", "none").inc()

    def answered(self, final: "Final") -> None:
        """Count an answer that has been given, or not."""
        by = "quotes" if final.engine == QUOTES else "engine"
        self._questions.labels(final.status, by).inc()
        self._seconds.labels(by).observe(final.timings_ms.get("total", 0.0) / 1000)
        for notice in final.notices:
            self._notices.labels(notice.kind).inc()
        if final.usage is not None:  # an engine may have worked for what became quotes
            self._tokens.labels("read").inc(final.usage.prompt_tokens)
            self._tokens.labels("cached").inc(final.usage.cached_tokens)
            self._tokens.labels("written").inc(final.usage.answer_tokens)
        if "first_token" in final.timings_ms:
            self._first.observe(final.timings_ms["first_token"] / 1000)
        if by == "engine":
            self._checked(final.support)

    def _checked(self, support: "Support") -> None:
        n_shown = support.n_sentences - support.n_dropped
        self._sentences.labels("supported").inc(support.n_supported)
        self._sentences.labels("unsupported").inc(n_shown - support.n_supported)
        self._sentences.labels("left_out").inc(support.n_dropped)
        self._unknown.inc(support.n_unknown_keys)

    def verdict(self, verdict: "Verdict") -> None:
        """Count a verdict of the guard."""
        self._verdicts.labels(verdict.action, verdict.label, verdict.reason).inc()
        for category in verdict.categories:
            self._categories.labels(category).inc()
        self._verdict_seconds.observe(verdict.ms / 1000)

    def admission(self, admission: "Admission | None") -> None:
        """Take down who uses the engine now."""
        if admission is not None:
            self._gauges["running"].set(admission.n_running)
            self._gauges["waiting"].set(admission.n_waiting)
            self._gauges["kv_tokens_used"].set(admission.tokens_in_use)
            self._gauges["kv_tokens"].set(admission.kv_tokens)

    def render(self) -> tuple[bytes, str]:
        """Everything in OpenMetrics' text, and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST  # type: ignore[no-untyped-call]
