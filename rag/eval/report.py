"""A report: a value for each question and metric, kept in a file, compared with a later one."""

import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from rag.errors import BadRequest, NotFound
from rag.eval.statistics import Difference, Interval, difference, interval, percentile

FORMAT = 1
LATENCY = "latency_ms"
MEAN_LATENCY = "latency_mean_ms"  # what is compared of it
LESS_IS_BETTER = frozenset({"abstained_wrongly", "blocked", MEAN_LATENCY})
HARDEST = 20  # questions that are told one by one
SNIPPET = 300  # characters of a passage
LEADING = (
    "page_hit@5",
    "span_recall",
    "reranked/ndcg@10",
    "fused/ndcg@10",
    "document_hit@5",
    "answered",
)
Json = dict[str, Any]


class Found(msgspec.Struct, frozen=True):
    """A passage as it stands in a report."""

    document: str
    title: str
    page_start: int | None
    page_end: int | None
    text: str
    right: bool


class Hard(msgspec.Struct, frozen=True):
    """A question that went badly: what was wanted, and what was found instead."""

    question: str
    text: str
    value: float  # of the metric
    wanted: list[str]
    found: list[Found]
    metric: str = ""  # the first that the question could be told for


class Report(msgspec.Struct, frozen=True):
    """What an evaluation came to.

    `values` has metrics by name, those of a branch as `fused/ndcg@10`; each has the questions that
    it could be told for. `about` says what was evaluated: model, settings, version, sizes.
    """

    kind: str  # "retrieval" or "answers"
    set: str
    asked: dict[str, str]  # question -> its text
    values: dict[str, dict[str, float]]
    seconds: float
    about: dict[str, str | int | float]
    hardest: list[Hard] = []
    notes: list[str] = []  # what of the set could not be judged
    format: int = FORMAT

    def intervals(self) -> dict[str, Interval]:
        """Every metric's mean with its interval; of times, percentiles."""
        figures: dict[str, Interval] = {}
        for name, by_question in self.values.items():
            values = list(by_question.values())
            if name == LATENCY:
                for q in (50, 95, 99):
                    figures[f"latency_p{q}_ms"] = interval(values, percentile(q))
            else:
                figures[name] = interval(values)
        return figures

    def count(self, figure: str) -> int:
        """How many questions a figure of `intervals` is over."""
        return len(self.values[LATENCY if figure.endswith("_ms") else figure])


def leading(names: Collection[str]) -> str:
    """The metric that comes first where one has to stand for all."""
    return next((name for name in LEADING if name in names), next(iter(names)))


class Comparison(NamedTuple):
    """A report against an earlier one, over the questions that both have."""

    against: str
    n_questions: int
    metrics: dict[str, Difference]
    changed: dict[str, tuple[Any, Any]]  # of `about`: before, after


def compare(now: Report, before: Report, name: str = "") -> Comparison:
    """What changed, metric by metric; a question counts where its words are the same in both.

    Raises:
        BadRequest: they are of different commands, or have no question in common.
    """
    if before.kind != now.kind:
        raise BadRequest(
            f"the saved report is one of `citadel eval {before.kind}`",
            hint=f"Name one that `citadel eval {now.kind} --save` wrote.",
        )
    same = {q for q, text in now.asked.items() if before.asked.get(q) == text}
    if not same:
        raise BadRequest(
            f"the saved report of {before.set!r} has no question in common with {now.set!r}",
            hint="Compare reports of one set.",
        )
    metrics = {}
    for metric, values in now.values.items():
        earlier = before.values.get(metric, {})
        both = [q for q in values if q in same and q in earlier]
        if both:
            name_of = MEAN_LATENCY if metric == LATENCY else metric
            metrics[name_of] = difference([earlier[q] for q in both], [values[q] for q in both])
    changed = {
        key: (before.about.get(key), now.about.get(key))
        for key in dict.fromkeys((*before.about, *now.about))
        if before.about.get(key) != now.about.get(key)
        and not (key == "gold" and key not in before.about)  # a report from before it was told
    }
    return Comparison(name or before.set, len(same), metrics, changed)


# In files


def save(report: Report, file: Path) -> None:
    """Write a report, by rename, for a later `compare`.

    Raises:
        BadRequest: the file cannot be written.
    """
    write(file, msgspec.json.format(msgspec.json.encode(report), indent=1))


def write(file: Path, content: bytes) -> None:
    """Write a file whole, or not at all, with the rights that it has or any new one gets.

    Raises:
        BadRequest: it cannot be written.
    """
    draft = ""
    try:
        target = file.resolve()  # a link goes on leading there
        descriptor, draft = tempfile.mkstemp(prefix=".citadel-", dir=target.parent)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        Path(draft).chmod(target.stat().st_mode & 0o777 if target.exists() else _usual_mode())
        Path(draft).replace(target)
    except OSError as error:
        Path(draft).unlink(missing_ok=True) if draft else None
        raise BadRequest(
            f"cannot write {file}: {error.strerror}", hint="Name a file in a folder that is there."
        ) from error


def _usual_mode() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask


def check_writable(file: Path) -> None:
    """See that a file could be written, before the work that is to be kept in it.

    Raises:
        BadRequest: its folder is not there, or it is a folder itself, or a device.
    """
    is_other = file.exists() and not file.is_file()
    if is_other or not os.access(file.resolve().parent, os.W_OK):
        raise BadRequest(f"cannot write {file}", hint="Name a file in a folder that is there.")


def load(file: Path) -> Report:
    """Read what `save` wrote.

    Raises:
        NotFound: there is no such file.
        BadRequest: it is not a report.
    """
    try:
        report = msgspec.json.decode(file.read_bytes(), type=Report)
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {file}", hint="--save writes one.") from error
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadRequest(
            f"{file} is no saved report ({error})", hint="--save writes one."
        ) from error
    if report.format != FORMAT or not report.values:
        raise BadRequest(
            f"{file} is a report of another version", hint="Evaluate again with --save."
        )
    return report


# As JSON


def report_json(report: Report, comparison: Comparison | None = None) -> Json:
    """The report as one object of plain figures; intervals and comparison under their own keys."""
    figures = report.intervals()
    rounded = {name: round(figure.value, 6) for name, figure in figures.items()}
    bounds = {name: [round(f.low, 6), round(f.high, 6)] for name, f in figures.items()}
    value: Json = {"set": report.set, "questions": len(report.asked)}
    value |= _nested(rounded)
    value |= {"seconds": round(report.seconds, 3), "intervals": _nested(bounds)}
    value |= {"counts": _nested({name: report.count(name) for name in figures})}
    value |= {"about": report.about, "notes": report.notes}
    if comparison is not None:
        value["compared"] = _comparison_json(comparison)
    return value


def _comparison_json(comparison: Comparison) -> Json:
    told = {name: _difference_json(each) for name, each in comparison.metrics.items()}
    return {
        "against": comparison.against,
        "questions": comparison.n_questions,
        "changed": {key: list(pair) for key, pair in comparison.changed.items()},
        **_nested(told),
    }


def _difference_json(each: Difference) -> Json:
    return {
        "before": round(each.before, 6),
        "after": round(each.after, 6),
        "difference": round(each.value, 6),
        "interval": [round(each.low, 6), round(each.high, 6)],
        "p": round(each.p, 6),
    }


def _nested(figures: Mapping[str, Any]) -> Json:
    """Names such as `fused/ndcg@10` below "branches", the others at the top."""
    nested: Json = {}
    for name, value in figures.items():
        *branch, metric = name.split("/")
        if branch:
            nested.setdefault("branches", {}).setdefault(branch[0], {})[metric] = value
        else:
            nested[name] = value
    return nested


def metrics_by_branch(names: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Branches with their metrics' full names, in order; the metrics of none under ""."""
    branches: dict[str, list[str]] = {}
    for name in names:
        branch = name.split("/")[0] if "/" in name else ""
        branches.setdefault(branch, []).append(name)
    yield from branches.items()
