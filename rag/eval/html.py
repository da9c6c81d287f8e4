"""A report as one page: figures, plots, and the questions that went worst. Nothing is fetched."""

import html
from collections.abc import Iterator, Sequence
from pathlib import Path

from rag.eval import plots
from rag.eval.calibrate import Curve
from rag.eval.report import Comparison, Found, Hard, Report, metrics_by_branch, write
from rag.eval.statistics import SURE, Difference, Interval

OPEN = 3  # hard questions that are shown without a click
STYLE = """
:root { color-scheme: light; --ink: #1d2330; --dim: #5d6676; --line: #d9dee6; --good: #1b7f4d; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); margin: 0 auto; max-width: 62rem;
  padding: 2rem 1.5rem 4rem; background: #fff; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
p.about { color: var(--dim); margin: 0 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .9rem .3rem 0; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; } th { color: var(--dim); font-weight: 600; }
td small { color: var(--dim); } svg { max-width: 100%; height: auto; }
.sure { font-weight: 700; }
details { border: 1px solid var(--line); border-radius: 6px; padding: .5rem .9rem;
  margin: .5rem 0; }
summary { cursor: pointer; font-weight: 600; }
summary span { color: var(--dim); font-weight: 400; }
ol { padding-left: 1.4rem; } li { margin: .4rem 0; } li.right { color: var(--good); }
li q { color: var(--dim); quotes: none; display: block; font-size: .9rem; }
.note { background: #fff7e0; border-radius: 6px; padding: .5rem .9rem; }
"""


def write_html(
    report: Report, comparison: Comparison | None, curve: Curve | None, file: Path
) -> None:
    """Write the page.

    Raises:
        BadRequest: the file cannot be written.
    """
    write(file, page(report, comparison, curve).encode(errors="replace"))


def page(report: Report, comparison: Comparison | None = None, curve: Curve | None = None) -> str:
    """The page: figures, the curve of a calibration, what changed, and what went worst."""
    sections = [*_figures(report)]
    if curve is not None:
        sections += _calibrated(curve)
    if comparison is not None:
        sections += _compared(comparison)
    sections += _hardest(report.hardest)
    title = f"{_text(report.set)}: what the {_of(report)} is worth"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n"
        + "\n".join([_about(report), *sections])
        + "\n</body></html>\n"
    )


def _of(report: Report) -> str:
    return {"retrieval": "search"}.get(report.kind, "answering")


def _about(report: Report) -> str:
    known = {"model": str(report.about.get("model", ""))[:12]}
    said = [
        f"{key.replace('_', ' ')} {known.get(key, value)}" for key, value in report.about.items()
    ]
    facts = f"{len(report.asked):,} questions · {report.seconds:,.0f} s · {' · '.join(said)}"
    notes = "".join(f'<p class="note">{_text(note)}</p>' for note in report.notes)
    return f'<p class="about">{_text(facts)}</p>{notes}'


def _figures(report: Report) -> Iterator[str]:
    figures = report.intervals()
    branches = dict(metrics_by_branch(figures))
    alone = branches.pop("", [])
    if branches:
        names = [name.split("/")[1] for name in next(iter(branches.values()))]
        rows = [
            [_text(branch), *(_cell(figures[name]) for name in of)]
            for branch, of in branches.items()
        ]
        yield "<h2>Branches</h2>" + _table(["branch", *names], rows)
        yield plots.branches(figures, branches)
    if alone:
        rows = [[_text(name), _cell(figures[name]), f"{report.count(name):,}"] for name in alone]
        yield "<h2>As a user gets it</h2>" + _table(["metric", "figure", "questions"], rows)
        shares = {name: figures[name] for name in alone if not name.endswith("_ms")}
        yield plots.bars(shares)


def _calibrated(curve: Curve) -> Iterator[str]:
    yield "<h2>The threshold of evidence</h2>"
    rows = []
    for name, threshold in (("now", curve.current), ("fitted", curve.fitted)):
        answered, abstained = curve.at(threshold)
        both = (answered + abstained) / 2
        rows.append([name, *(f"{share:.3f}" for share in (threshold, answered, abstained, both))])
    head = ["", "threshold", "answerable, answered", "unanswerable, declined", "mean of the two"]
    yield _table(head, rows) + plots.curve(curve)
    yield (
        f"<p>{curve.n_answerable:,} answerable and {curve.n_unanswerable:,} unanswerable questions;"
        f" other samples of them would choose {curve.low:.2f} to {curve.high:.2f}. Set it with"
        f" <code>CITADEL_ANSWER_THRESHOLD={curve.fitted:.2f}</code>.</p>"
    )


def _compared(comparison: Comparison) -> Iterator[str]:
    rows = [[_text(name), *_difference(each)] for name, each in comparison.metrics.items()]
    head = ["metric", "before", "now", "difference", "p"]
    yield f"<h2>Against {_text(comparison.against)}</h2>" + _table(head, rows)
    changed = "; ".join(f"{k}: {old} → {new}" for k, (old, new) in comparison.changed.items())
    said = f"{comparison.n_questions:,} questions in common."
    if changed:
        said += f" Changed: {changed}."
    yield f"<p>{_text(said)} Bold: chance makes such a difference less than once in 20 times.</p>"
    yield plots.differences(comparison.metrics)


def _difference(each: Difference) -> list[str]:
    said = f"{each.value:+.3f} <small>{each.low:+.3f} to {each.high:+.3f}</small>"
    said = f'<span class="sure">{said}</span>' if each.p < SURE else said
    return [
        f"{each.before:.3f}",
        f"{each.after:.3f}",
        said,
        "&lt;.001" if each.p < 0.001 else f"{each.p:.3f}",
    ]


def _hardest(hardest: Sequence[Hard]) -> Iterator[str]:
    if hardest:
        yield "<h2>The hardest questions</h2>"
        yield "<p>What was wanted, and what was found; what is right is green.</p>"
    for place, hard in enumerate(hardest):
        wanted = "".join(f"<li>{_text(one)}</li>" for one in hard.wanted)
        found = "".join(map(_found, hard.found)) or "<li>nothing</li>"
        yield (
            f"<details{' open' * (place < OPEN)}><summary>{_text(hard.text)} "
            f"<span>{_text(f'{hard.question}, {hard.metric} {hard.value:.2f}')}</span></summary>"
            f"<p>Wanted:</p><ul>{wanted}</ul>"
            f"<p>Found:</p><ol>{found}</ol></details>"
        )


def _found(found: Found) -> str:
    where = found.document
    if found.page_start is not None:
        last = f"–{found.page_end}" if found.page_end != found.page_start else ""
        where += f", page {found.page_start}{last}"
    title = f": {found.title}" if found.title and found.title not in where else ""
    kind = ' class="right"' if found.right else ""
    return f"<li{kind}>{_text(where + title)} <q>{_text(found.text)}</q></li>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{_text(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _cell(figure: Interval) -> str:
    digits = 3 if abs(figure.value) < 10 else 0
    bounds = f"{figure.low:,.{digits}f} to {figure.high:,.{digits}f}"
    return f"{figure.value:,.{digits}f} <small>{bounds}</small>"


def _text(text: str) -> str:
    """Text that is only text, whatever is in it."""
    return html.escape("".join(c if c.isprintable() else " " for c in text))
