"""When to abstain: the curve of the evidence score over many sets, and what the answers are worth.

Answerable questions are put to their own documents; unanswerable ones are those that Contoso's
authors marked, questions of one set put to another's documents, and answerable ones in which one
name is exchanged for another that the documents don't have. "notes" are 200 made-up notes that are
alike but for a person and a number. Figures of the answers: the
share of XQuAD's answers that hold the gold string, and of Contoso's gold words and pages.
"""

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from rag.settings import Settings
from rag.text import words
from tests.bench import logistic, sets
from tests.bench.asking import Group, Observed, observe_all
from tests.bench.report import Cell, print_heading, print_line, print_table
from tests.bench.run import Run

NEEDS = ("contoso", "kgrag_sec10q", "xquad", "policyqa_dev")
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def main(run: Run) -> None:
    """Print the section."""
    print_heading("Evidence", __doc__.split("\n\n")[1].replace("\n", " "), quick=run.quick)
    groups = observe_all(run)
    threshold = _shipped_threshold()
    _print_areas(groups)
    _print_curve(groups, threshold)
    _print_names(groups, threshold)
    _print_refit(groups, threshold, fit=run.fit)
    _print_quotes(groups, threshold)
    _print_contoso(groups, threshold)


def _shipped_threshold() -> float:
    return float(Settings.model_fields["answer_threshold"].default)


# Abstaining


def _pairs(groups: Sequence[Group]) -> Iterator[tuple[Group, Group]]:
    """Answerable and unanswerable questions to the same collection."""
    for group in groups:
        for other in groups:
            if group.answerable and not other.answerable and group.collection == other.collection:
                yield group, other


def _print_areas(groups: Sequence[Group]) -> None:
    rows: list[list[Cell]] = []
    for yes, no in _pairs(groups):
        cosine = [_area_of_first_feature(yes, no)]
        shipped = logistic.area(yes.scores, no.scores)
        name = f"{yes.collection}: {yes.name} / {no.name}"
        rows.append([name, len(yes.seen), len(no.seen), *cosine, shipped, shipped / cosine[0]])
    means = [statistics.fmean(float(row[i] or 0) for row in rows) for i in (3, 4, 5)]
    rows.append(["mean of the pairs", None, None, *means])
    header = ("ROC AUC, documents: answerable / not", "n", "n not", "best cosine alone (baseline)")
    print_table((*header, "evidence, as shipped", "× baseline"), rows)


def _area_of_first_feature(yes: Group, no: Group) -> float:
    """By the cosine of the best passage alone: what one has without any of this."""
    values = [
        np.array([one.features[0] if one.features else 0.0 for one in group.seen])
        for group in (yes, no)
    ]
    return logistic.area(values[0], values[1])


def _print_curve(groups: Sequence[Group], threshold: float) -> None:
    thresholds = sorted({*THRESHOLDS, threshold})
    ordered = sorted(groups, key=lambda group: not group.answerable)
    rows: list[list[Cell]] = []
    for group in ordered:
        kind = "answered" if group.answerable else "abstained"
        shares = [group.right(t) for t in thresholds]
        rows.append([f"{group.name} → {group.collection}: {kind}", len(group.seen), *shares])
    macro = {True: [_macro(groups, t, True) for t in thresholds]}
    macro[False] = [_macro(groups, t, False) for t in thresholds]
    rows.append(["**mean of the sets: answered**", None, *macro[True]])
    rows.append(["**mean of the sets: abstained**", None, *macro[False]])
    both = [(a + b) / 2 for a, b in zip(macro[True], macro[False], strict=True)]
    rows.append(["**mean of the two**", None, *both])
    names = [f"{t:.2f}{' (shipped)' if t == threshold else ''}" for t in thresholds]
    print_table(("share treated rightly at threshold", "n", *names), rows)
    best = max(range(len(both)), key=both.__getitem__)
    print_line(
        f"Best mean of the two: {both[best]:.3f} at {thresholds[best]:.2f}; a threshold that "
        "always answers, or never, has .5."
    )


def _macro(groups: Sequence[Group], threshold: float, answerable: bool) -> float:
    return statistics.fmean(g.right(threshold) for g in groups if g.answerable == answerable)


def _print_names(groups: Sequence[Group], threshold: float) -> None:
    """What looking for the questions' names brings, and what it costs."""
    rows: list[list[Cell]] = []
    for group in groups:
        kind = "answered" if group.answerable else "abstained"
        before, now = group.right(threshold, group.nearness), group.right(threshold)
        if before != now:
            name = f"{group.name} → {group.collection}: {kind}"
            rows.append([name, len(group.seen), before, now, now - before])
    kinds = {
        "answered": [g for g in groups if g.answerable],
        "abstained": [g for g in groups if not g.answerable and "other names" not in g.name],
        "other names, abstained": [g for g in groups if "other names" in g.name],
    }
    for kind, mine in kinds.items():
        before = statistics.fmean(g.right(threshold, g.nearness) for g in mine)
        now = statistics.fmean(g.right(threshold) for g in mine)
        rows.append([f"**mean of the sets: {kind}**", None, before, now, now - before])
    head = ("share treated rightly, where it differs", "n", "whatever is named (baseline)")
    print_table((*head, "as shipped", "difference"), rows)


# Refitting


def _print_refit(groups: Sequence[Group], threshold: float, *, fit: bool) -> None:
    """Whether the constants hang on one set: each is judged by a fit that has not seen it.

    The held-out set is left out as a question set and wherever its questions are foreign ones.
    """
    together = _fit(groups)
    rows: list[list[Cell]] = []
    for group in groups:
        without = _fit([g for g in groups if g.name != group.name and g is not group])
        kind = "answered" if group.answerable else "abstained"
        rows.append(
            [
                f"{group.name} → {group.collection}: {kind}",
                group.right(threshold),
                group.right(0.5, _refitted(group, together)),
                group.right(0.5, _refitted(group, without)),
            ]
        )
    of_sets = list(zip(rows, groups, strict=True))
    for kind, answerable in (("answered", True), ("abstained", False)):
        mine = [row for row, group in of_sets if group.answerable == answerable]
        means = [statistics.fmean(float(row[i] or 0) for row in mine) for i in (1, 2, 3)]
        rows.append([f"**mean of the sets: {kind}**", *means])
    header = ("share treated rightly", "as shipped (baseline)", "fitted on all at .5")
    print_table((*header, "fitted without this set at .5"), rows)
    if fit:
        constants = ", ".join(f"{value:.2f}" for value in together)
        print_line(f"Fitted constants (intercept, then in the order of `features`): {constants}")


def _fit(groups: Sequence[Group]) -> logistic.Array:
    """Every set weighs the same, and so do the two answers."""
    x, y, weights = [], [], []
    for answerable in (True, False):
        mine = [group for group in groups if group.answerable == answerable]
        for group in mine:
            seen = [one.features for one in group.seen if one.features]
            x += seen
            y += [float(answerable)] * len(seen)
            weights += [1 / (len(mine) * len(seen))] * len(seen)
    return logistic.fit(np.array(x), np.array(y), np.array(weights))


def _refitted(group: Group, beta: logistic.Array) -> logistic.Array:
    nothing = (0.0,) * (len(beta) - 1)
    x = np.array([one.features or nothing for one in group.seen])
    quotable = np.array([bool(one.features) for one in group.seen])
    return np.where(quotable, logistic.predict(x, beta), 0.0)


# What the answers are worth


def _print_quotes(groups: Sequence[Group], threshold: float) -> None:
    rows: list[list[Cell]] = []
    for group in groups:
        if not group.answerable or not group.name.startswith(("xquad", "policyqa")):
            continue
        answered = [one for one in group.seen if one.evidence >= threshold]
        in_quotes = statistics.fmean(_holds(one.quotes, one.asked) for one in answered)
        in_best = statistics.fmean(_holds(one.best_hit, one.asked) for one in answered)
        sizes = [statistics.fmean(map(len, texts)) for texts in _texts(answered)]
        rows.append(
            [
                group.name,
                len(group.seen),
                len(answered) / len(group.seen),
                in_best,
                in_quotes,
                in_quotes / in_best,
                round(sizes[1]),
                round(sizes[0]),
            ]
        )
    header = ("gold string in the answer", "n", "answered", "in the best passage (baseline)")
    rest = ("in the quotes", "× baseline", "characters of the passage", "of the quotes")
    print_table((*header, *rest), rows)


def _texts(answered: Sequence[Observed]) -> tuple[list[str], list[str]]:
    return [one.quotes for one in answered], [one.best_hit for one in answered]


def _holds(text: str, asked: sets.Asked) -> bool:
    flat = " ".join(text.casefold().split())
    return any(" ".join(answer.casefold().split()) in flat for answer in asked.answers)


def _print_contoso(groups: Sequence[Group], threshold: float) -> None:
    (group,) = (g for g in groups if g.answerable and g.name == "contoso")
    answered = [one for one in group.seen if one.evidence >= threshold]
    quotes, best = _texts(answered)
    recall = statistics.fmean(map(_recall, quotes, (one.asked for one in answered)))
    base = statistics.fmean(map(_recall, best, (one.asked for one in answered)))
    rows: list[list[Cell]] = [
        ["gold words in the best passage (baseline)", base, 1.0],
        ["gold words in the quotes", recall, recall / base],
        ["any cited page is the gold page", _share_on_page(answered, (0,)), None],
        ["any cited page is the gold page or the next", _share_on_page(answered, (0, 1)), None],
        ["first cited page is the gold page", _share_on_page(answered, (0,), 1), None],
        [
            "first cited page is the gold page or the next",
            _share_on_page(answered, (0, 1), 1),
            None,
        ],
    ]
    print_table(("contoso, questions that were answered", "share", "× baseline"), rows)
    print_line(
        f"{len(answered)} of {len(group.seen)} answered. Gold answers are written freely, so not "
        "all of their words can be in a quote."
    )


def _recall(text: str, asked: sets.Asked) -> float:
    gold = set(words(asked.answers[0]))
    return len(gold & set(words(text))) / len(gold) if gold else 0.0


def _share_on_page(
    answered: Sequence[Observed], offsets: Sequence[int], most: int | None = None
) -> float:
    return statistics.fmean(_is_on_page(one, offsets, most) for one in answered)


def _is_on_page(one: Observed, offsets: Sequence[int], most: int | None) -> bool:
    wanted = {(file, (page or 0) + offset) for file, page in one.asked.cited for offset in offsets}
    for citation in one.citations[:most]:
        if citation.page_start is not None and citation.page_end is not None:
            pages = range(citation.page_start, citation.page_end + 1)
            if any((Path(citation.source_uri).name, page) in wanted for page in pages):
                return True
    return False
