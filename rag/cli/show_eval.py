"""An evaluation as text for a person. Each function returns what is printed."""

import io
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ingest.progress import duration, one_line
from rag.eval.calibrate import Curve
from rag.eval.report import Comparison, Report, metrics_by_branch
from rag.eval.statistics import SURE, Difference, Interval

WIDTH = 110
BAR = 20  # characters for a share of 1


def format_evaluation(report: Report, comparison: Comparison | None = None) -> str:
    """The figures with their intervals, and what changed."""
    figures = report.intervals()
    branches = dict(metrics_by_branch(figures))
    alone = branches.pop("", [])
    parts = [
        f"{one_line(report.set)}: {len(report.asked):,} questions in {duration(report.seconds)}"
    ]
    if branches:
        parts.append(_branches(figures, branches))
    if alone:
        rows = [[name, _figure(figures[name]), _bounds(figures[name])] for name in alone]
        parts.append(_table(["as a user gets it", "figure", "95 % interval"], rows))
    if comparison is not None:
        parts.append(_format_comparison(comparison))
    return "\n\n".join(parts)


def format_curve(curve: Curve) -> str:
    """What the thresholds of evidence would do, and how to set the fitted one."""
    shown = sorted({0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, curve.fitted, curve.current})
    rows = []
    for threshold in shown:
        answered, abstained = curve.at(threshold)
        both = (answered + abstained) / 2
        note = "fitted" * (threshold == curve.fitted) or "now" * (threshold == curve.current)
        bar = "█" * round(both * BAR)
        rows.append([f"{threshold:.2f} {note}", *map(_share, (answered, abstained, both)), bar])
    head = ["threshold", "answerable, answered", "unanswerable, declined", "mean of the two", ""]
    numbers = f"{curve.n_answerable:,} answerable and {curve.n_unanswerable:,} unanswerable"
    return "\n".join(
        [
            f"{numbers} questions; other samples of them would choose {curve.low:.2f} to"
            f" {curve.high:.2f}",
            "",
            _table(head, rows),
            "",
            f"To set it: CITADEL_ANSWER_THRESHOLD={curve.fitted:.2f}, or in citadel.toml"
            f" answer_threshold = {curve.fitted:.2f}",
        ]
    )


def _share(value: float) -> str:
    return f"{value:.3f}"


def _branches(figures: dict[str, Interval], branches: dict[str, list[str]]) -> str:
    metrics = [name.split("/")[1] for name in next(iter(branches.values()))]
    rows = [
        [branch, *(f"{_figure(figures[name])} {_bounds(figures[name])}" for name in names)]
        for branch, names in branches.items()
    ]
    return _table(["branch", *metrics], rows)


def _format_comparison(comparison: Comparison) -> str:
    rows = [
        [
            name,
            f"{each.before:.4g}",
            f"{each.after:.4g}",
            f"{each.value:+.4g}",
            f"{each.low:+.4g} to {each.high:+.4g}",
            _chance(each),
        ]
        for name, each in comparison.metrics.items()
    ]
    head = ["metric", "before", "now", "difference", "95 % interval", "p"]
    against = one_line(comparison.against)
    changed = "; ".join(
        f"{key} {before} → {now}" for key, (before, now) in comparison.changed.items()
    )
    lines = [f"Against {against}, {comparison.n_questions:,} questions in common"]
    if changed:
        lines.append(f"Changed: {one_line(changed)}")
    return "\n".join([*lines, "", _table(head, rows), f"* {_sure(comparison)}"])


def _sure(comparison: Comparison) -> str:
    n_sure = sum(each.p < SURE for each in comparison.metrics.values())
    return f"chance makes such a difference less than once in 20 times: {n_sure} metrics"


def _chance(each: Difference) -> str:
    return f"{'<.001' if each.p < 0.001 else f'{each.p:.3f}'}{' *' if each.p < SURE else '  '}"


def _figure(figure: Interval) -> str:
    return f"{figure.value:.3f}" if abs(figure.value) < 10 else f"{figure.value:,.0f}"


def _bounds(figure: Interval) -> str:
    if abs(figure.value) < 10:
        return f"{figure.low:.3f} to {figure.high:.3f}"
    return f"{figure.low:,.0f} to {figure.high:,.0f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for place, name in enumerate(head):
        table.add_column(name, justify="left" if place == 0 or not name else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    out = io.StringIO()
    Console(file=out, width=WIDTH).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().split("\n"))
