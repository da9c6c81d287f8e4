"""Figures as drawings: SVG that stands in a page, letters as outlines, so that it needs no font."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rag.eval.calibrate import Curve
from rag.eval.report import LESS_IS_BETTER
from rag.eval.statistics import Difference, Interval

COLOURS = ("#3b6fb6", "#e0813a", "#2f9e6e", "#8a5fb0")
INK = "#1d2330"
GRID = "#d9dee6"
_ADDRESSES = re.compile(r'^.*?(?=<svg)|<metadata>.*?</metadata>| xmlns(?::\w+)?="[^"]*"', re.DOTALL)


def branches(figures: Mapping[str, Interval], names: Mapping[str, Sequence[str]]) -> str:
    """Each metric with a bar for each branch."""
    metrics = [name.split("/")[1] for name in next(iter(names.values()))]
    figure, axes = _axes(7.6, 3.0)
    width = 0.8 / len(names)
    for place, (branch, of) in enumerate(names.items()):
        at = [i + (place - (len(names) - 1) / 2) * width for i in range(len(of))]
        _bar(axes, at, [figures[name] for name in of], width * 0.92, COLOURS[place % 4], branch)
    axes.set_xticks(range(len(metrics)), metrics)
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False, ncols=len(names), loc="upper left", bbox_to_anchor=(0, 1.14))
    return _svg(figure)


def bars(figures: Mapping[str, Interval]) -> str:
    """A bar for each figure that is a share."""
    if not figures:
        return ""
    figure, axes = _axes(7.6, 0.5 + 0.34 * len(figures))
    places = list(range(len(figures)))[::-1]
    values = list(figures.values())
    axes.barh(places, [v.value for v in values], 0.62, color=COLOURS[0])
    errors = [[v.value - v.low for v in values], [v.high - v.value for v in values]]
    axes.errorbar([v.value for v in values], places, xerr=errors, fmt="none", ecolor=INK, capsize=2)
    axes.set_yticks(places, list(figures))
    axes.set_xlim(0, 1.02)
    axes.grid(visible=False, axis="y")
    return _svg(figure)


def curve(found: Curve) -> str:
    """What each threshold of evidence would do, with the fitted and the present one."""
    figure, axes = _axes(7.6, 3.2)
    axes.plot(found.thresholds, found.answered, color=COLOURS[0], label="answerable, answered")
    axes.plot(found.thresholds, found.abstained, color=COLOURS[1], label="unanswerable, declined")
    both = [(a + b) / 2 for a, b in zip(found.answered, found.abstained, strict=True)]
    axes.plot(found.thresholds, both, color=COLOURS[2], linewidth=2.2, label="mean of the two")
    axes.axvspan(found.low, found.high, color=COLOURS[2], alpha=0.12, linewidth=0)
    axes.axvline(found.fitted, color=COLOURS[2], linestyle="--", label=f"fitted {found.fitted:.2f}")
    axes.axvline(found.current, color=INK, linestyle=":", label=f"now {found.current:.2f}")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("threshold of evidence")
    axes.legend(frameon=False, fontsize=8, ncols=5, loc="lower left", bbox_to_anchor=(0, 1.0))
    return _svg(figure)


def differences(metrics: Mapping[str, Difference]) -> str:
    """What changed, each with its interval: green for better, orange for worse."""
    shares = {name: each for name, each in metrics.items() if not name.endswith("_ms")}
    figure, axes = _axes(7.6, 0.6 + 0.28 * len(shares))
    places = list(range(len(shares)))[::-1]
    for place, (name, each) in zip(places, shares.items(), strict=True):
        colour = "#8b93a1"  # may as well be chance
        if each.low > 0 or each.high < 0:
            colour = COLOURS[2] if (each.low > 0) != (name in LESS_IS_BETTER) else COLOURS[1]
        axes.plot([each.low, each.high], [place, place], color=colour, linewidth=2)
        axes.plot([each.value], [place], "o", color=colour, markersize=5)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(places, list(shares))
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("now less before")
    return _svg(figure)


def _bar(
    axes: Any,
    at: Sequence[float],
    values: Sequence[Interval],
    width: float,
    colour: str,
    label: str,
) -> None:
    errors = [[v.value - v.low for v in values], [v.high - v.value for v in values]]
    axes.bar(at, [v.value for v in values], width, color=colour, label=label)
    axes.errorbar(at, [v.value for v in values], yerr=errors, fmt="none", ecolor=INK, capsize=2)


def _axes(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, labelsize=9, colors=INK)
    axes.set_axisbelow(True)
    axes.grid(color=GRID, linewidth=0.7)
    return figure, axes


def _svg(figure: Any) -> str:
    """The drawing alone, without what names an address."""
    import matplotlib as mpl

    out = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "citadel", "svg.fonttype": "path"}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    return _ADDRESSES.sub("", out.getvalue())
