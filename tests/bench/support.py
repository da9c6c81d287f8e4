"""Whether cited text supports a sentence: the checker put to right citations and to spoiled ones.

Claims are sentences of gold answers with the page that they cite (Contoso; for the quarterly
reports, whose answers cite files, the nearest page that has the sentence's digits), questions with
their answer (XQuAD, PolicyQA), and sentences copied from the passage or, between languages, from
its translation (XQuAD). Each is then spoiled: its passage swapped for any other of the set and for
the nearest one, a number altered to one that the passage lacks and to one that it has, the sentence
denied, a name swapped. Gold answers are not all borne out by the page they cite, and nearest pages
sometimes do say the same: both bounds are below one.
"""

import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rag.answer.claims import Claim
from rag.answer.meaning import Features
from rag.answer.pack import Passage
from rag.answer.support import THRESHOLD, SupportChecker, score
from rag.search.embed import Embedder, load_embedder
from rag.settings import load_settings
from tests.bench import cited, logistic
from tests.bench.cited import Collection
from tests.bench.embedding import CachedEmbedder, cached_embedder, model_home
from tests.bench.report import Cell, percentiles, print_heading, print_line, print_table
from tests.bench.run import Run, progress, scratch
from tests.bench.spoiled import CORRECT, WRONG, Case, made_passage, spoil

NEEDS = ("contoso", "kgrag_sec10q", "xquad", "policyqa_dev")
THRESHOLDS = (0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8)
BASELINE = "cosine alone"
CROSSED = (("de", "en"), ("es", "en"), ("en", "de"), ("hi", "en"), ("th", "en"))
SAME, OTHER = "one language", "two languages"


@dataclass(frozen=True, slots=True)
class Result:
    """A case and what the checker saw."""

    case: Case
    features: Features
    cross: bool
    failed: bool  # a fact is missing, or one denies the other
    score: float

    @property
    def group(self) -> str:
        """Which of the two sets of constants the case is about."""
        return OTHER if "→" in self.case.name else SAME


Accepts = Callable[[Result], bool]


def main(run: Run) -> None:
    """Print the section."""
    print_heading("Support", __doc__.split("\n\n", 1)[1].replace("\n", " "), quick=run.quick)
    results = observe(run)
    for group in (SAME, OTHER):
        mine = [result for result in results if result.group == group]
        best = _best_cosine(mine)
        _print_sets(mine, group, best)
        _print_kinds(mine, group, best)
        _print_curve(mine, group)
        _print_refit(mine, group, fit=run.fit)
    _print_speed(run, results)


# Observing


def observe(run: Run) -> list[Result]:
    """Every case of every set."""
    results: list[Result] = []
    with cached_embedder() as embedder:
        for found, right in _all_cases(run, embedder):
            progress(f"{right[0].name}: {len(right)} claims")
            others = {i: _others(found, case, i) for i, case in enumerate(right)}
            checker = SupportChecker(embedder, found.lexical, cited.ACCESS)
            results += [_observed(checker, case) for case in (*right, *spoil(right, others))]
            embedder.save()
    return results


def _all_cases(run: Run, embedder: CachedEmbedder) -> Iterator[tuple[Collection, list[Case]]]:
    """Each set's passages with its correct cases, one set at a time."""
    for name in run.pick(("contoso", "kgrag_sec10q"), ("contoso",)):
        with cited.paged(run, name, embedder) as (found, right):
            yield found, right
    read, places = {}, {}
    for language in cited.LANGUAGES:
        read[language], places[language] = cited.paragraphs(run, f"xquad/{language}", language)
    with scratch() as folder:
        for language, passages in read.items():
            with cited.collection(passages, folder / language) as found:
                name = f"xquad/{language}"
                yield found, cited.asked_cases(run, name, language, passages, places[language])
                yield found, cited.copied_cases(run, name, language, passages)
                for said, to in CROSSED:
                    if to == language:
                        yield found, cited.crossed_cases(run, read, said, to)
        passages, place = cited.paragraphs(run, "policyqa_dev", "en")
        with cited.collection(passages, folder / "policyqa") as found:
            yield found, cited.asked_cases(run, "policyqa_dev", "en", passages, place)
            yield found, cited.copied_cases(run, "policyqa_dev", "en", passages)


def _others(found: Collection, case: Case, i: int) -> list[Passage]:
    """Any passage but the cited one, then the nearest; between languages the paragraph's own."""
    own = case.passage
    rest = [p for p in found.passages if p.document_id != own.document_id and p.text.strip()]
    seek = case.claim if case.language == own.language else own.text[:400]
    near = [p for p in found.nearest(seek) if p.document_id != own.document_id]
    return [random.Random(i).choice(rest), *near]


def _observed(checker: SupportChecker, case: Case) -> Result:
    said, (seen,) = checker.look(Claim(case.claim), [case.passage])
    failed = bool(checker.lacking(said, [case.passage])) or seen.denies
    return Result(case, seen.features, seen.cross, failed, score(seen))


# Judging


def _shipped(result: Result) -> bool:
    return not result.failed and result.score >= THRESHOLD


def _by_cosine(threshold: float) -> Accepts:
    return lambda result: result.features.cosine >= threshold


def _best_cosine(results: Sequence[Result]) -> float:
    """The threshold that is best for the baseline on these very cases: it is given that much."""
    return max(
        np.arange(0.05, 0.95, 0.01), key=lambda t: _balance(results, _by_cosine(float(t)))
    ).item()


def _share(results: Sequence[Result], accepts: Accepts) -> float:
    return statistics.fmean(map(accepts, results)) if results else float("nan")


def _pick(results: Sequence[Result], *, name: str = "", kind: str = "") -> list[Result]:
    return [
        one
        for one in results
        if (not name or one.case.name == name) and (not kind or one.case.kind == kind)
    ]


def _names(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(one.case.name for one in results))


def _balance(results: Sequence[Result], accepts: Accepts) -> float:
    """Mean over the sets of: correct accepted, and wrong rejected, every kind weighing the same."""
    means = []
    for name in _names(results):
        mine = _pick(results, name=name)
        right = _share(_pick(mine, kind=CORRECT), accepts)
        wrong = [1 - _share(some, accepts) for k in WRONG if (some := _pick(mine, kind=k))]
        means.append((right + statistics.fmean(wrong)) / 2)
    return statistics.fmean(means)


# Printing


def _print_sets(results: Sequence[Result], group: str, best: float) -> None:
    rows: list[list[Cell]] = []
    base = _by_cosine(best)
    for name in _names(results):
        mine = _pick(results, name=name)
        right = _pick(mine, kind=CORRECT)
        wrong = [_rejected(_pick(mine, kind=kind), _shipped) for kind in WRONG]
        balances = _balance(mine, base), _balance(mine, _shipped)
        rows.append([name, len(right), _share(right, _shipped), *wrong, *balances])
    means = [_mean_of([row[i] for row in rows]) for i in range(2, len(rows[0]))]
    rows.append(["**mean of the sets**", None, *means])
    header = (f"{group}: share treated rightly", "n correct", "correct accepted")
    rejected = [f"{kind}: rejected" for kind in WRONG]
    print_table((*header, *rejected, f"balance, {BASELINE} (baseline)", "balance"), rows)


def _rejected(results: Sequence[Result], accepts: Accepts) -> float | None:
    return 1 - _share(results, accepts) if len(results) >= 10 else None


def _mean_of(values: Sequence[Cell]) -> float | None:
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    return statistics.fmean(numbers) if numbers else None


def _print_kinds(results: Sequence[Result], group: str, best: float) -> None:
    """Of the verdict "unsupported", at as many wrong as correct cases, as means over the sets."""
    rows: list[list[Cell]] = []
    for kind in WRONG:
        row: list[Cell] = [kind, len(_pick(results, kind=kind))]
        for accepts in (_by_cosine(best), _shipped):
            row += _precision_recall(results, kind, accepts)
        rows.append(row)
    header = (f"{group}: verdict “unsupported”", "n wrong", f"precision, {BASELINE} (baseline)")
    print_table((*header, "recall, baseline", "precision", "recall"), rows)
    shares = [_accepted_precision(results, a) for a in (_by_cosine(best), _shipped)]
    print_line(
        f"Precision of “supported”, every kind of wrong case weighing the same and as many wrong "
        f"as correct: {BASELINE} at its best threshold ({best:.2f}) {shares[0]:.3f}, "
        f"the checker {shares[1]:.3f}."
    )


def _precision_recall(results: Sequence[Result], kind: str, accepts: Accepts) -> list[float]:
    recalls, alarms = [], []
    for name in _names(results):
        if wrong := _pick(results, name=name, kind=kind):
            recalls.append(1 - _share(wrong, accepts))
            alarms.append(1 - _share(_pick(results, name=name, kind=CORRECT), accepts))
    recall, alarm = statistics.fmean(recalls), statistics.fmean(alarms)
    return [recall / max(1e-9, recall + alarm), recall]


def _accepted_precision(results: Sequence[Result], accepts: Accepts) -> float:
    right = statistics.fmean(
        _share(_pick(results, name=name, kind=CORRECT), accepts) for name in _names(results)
    )
    wrong = [1 - _precision_recall(results, k, accepts)[1] for k in WRONG if _pick(results, kind=k)]
    return right / (right + statistics.fmean(wrong))


def _print_curve(results: Sequence[Result], group: str) -> None:
    rows: list[list[Cell]] = []
    kinds = [kind for kind in (CORRECT, *WRONG) if _pick(results, kind=kind)]
    for t in THRESHOLDS:
        accepts = _at(t)
        shares = [_kind_share(results, kind, accepts) for kind in kinds]
        name = f"{t:.2f}{' (shipped)' if t == THRESHOLD else ''}"
        rows.append([name, *shares, _balance(results, accepts)])
    header = (f"{group}: threshold", "correct: accepted")
    print_table((*header, *(f"{kind}: rejected" for kind in kinds[1:]), "balance"), rows)


def _at(threshold: float) -> Accepts:
    return lambda result: not result.failed and result.score >= threshold


def _kind_share(results: Sequence[Result], kind: str, accepts: Accepts) -> float:
    shares = [
        _share(some, accepts)
        for name in _names(results)
        if (some := _pick(results, name=name, kind=kind))
    ]
    share = statistics.fmean(shares)
    return share if kind == CORRECT else 1 - share


# Refitting


def _print_refit(results: Sequence[Result], group: str, *, fit: bool) -> None:
    """Whether the constants hang on one set: each is judged by a fit that has not seen it."""
    together = _fit(results)
    sources = list(dict.fromkeys(one.case.source for one in results))
    key = (lambda r: r.case.source) if len(sources) > 1 else (lambda r: r.case.name)
    rows: list[list[Cell]] = []
    for held in dict.fromkeys(map(key, results)):
        mine = [one for one in results if key(one) == held]
        without = _fit([one for one in results if key(one) != held])
        balances = [_balance(mine, a) for a in (_shipped, _fitted(together), _fitted(without))]
        rows.append([str(held), *balances])
    means = [_mean_of([row[i] for row in rows]) for i in (1, 2, 3)]
    rows.append(["**mean**", *means])
    header = (f"{group}: balance", "as shipped (baseline)", "fitted on all at .5")
    print_table((*header, "fitted without this set at .5"), rows)
    if fit:
        constants = ", ".join(f"{value:.2f}" for value in together)
        print_line(f"{group}: intercept, then in the order of `Features`: {constants}")


def _fit(results: Sequence[Result]) -> logistic.Array:
    """On what passed the hard checks. Every set weighs the same, correct and wrong too."""
    x, y, weights = [], [], []
    for name in _names(results):
        mine = _pick(results, name=name)
        kinds = [kind for kind in WRONG if _pick(mine, kind=kind)]
        for kind in (CORRECT, *kinds):
            some = _pick(mine, kind=kind)
            passed = [one for one in some if not one.failed]
            x += [one.features for one in passed]
            y += [float(kind == CORRECT)] * len(passed)
            each = 1 / (len(some) * (1 if kind == CORRECT else len(kinds)))
            weights += [each] * len(passed)
    return logistic.fit(np.array(x), np.array(y), np.array(weights))


def _fitted(beta: logistic.Array) -> Accepts:
    def accepts(result: Result) -> bool:
        return not result.failed and float(beta[0] + np.dot(beta[1:], result.features)) >= 0

    return accepts


# Speed


def _print_speed(run: Run, results: Sequence[Result]) -> None:
    """A claim against two passages: the first of an answer, and the next ones."""
    embedder: Embedder = load_embedder(load_settings(data_dir=model_home()))
    cases = [r.case for r in results if r.case.name == "xquad/en" and r.case.kind == CORRECT]
    singles, _ = cited.paragraphs(run, "xquad/en", "en")
    joined = [_joined(singles[i : i + 3]) for i in range(0, len(singles) - 2, 3)]
    first, later, n_tokens = [], [], []
    with scratch() as folder, cited.collection(joined, folder / "x") as found:
        for (one, two), pair in zip(pairwise(cases), pairwise(joined), strict=False):
            checker = SupportChecker(embedder, found.lexical, cited.ACCESS)
            n_tokens += embedder.count_tokens([passage.text for passage in pair])
            first.append(_look_ms(checker, one.claim, pair))
            later.append(_look_ms(checker, two.claim, pair))
    rows: list[list[Cell]] = [
        ["first claim", *percentiles(first)],
        ["another claim on the same passages", *percentiles(later)],
    ]
    print_table(("milliseconds for a claim and two passages", "p50", "p95", "p99"), rows)
    print_line(f"Passages of {statistics.median(n_tokens):.0f} tokens in the middle.")


def _joined(passages: Sequence[Passage]) -> Passage:
    text = "\n\n".join(passage.text for passage in passages)
    return made_passage(passages[0].document_id, passages[0].title, text, passages[0].language)


def _look_ms(checker: SupportChecker, claim: str, passages: Sequence[Passage]) -> float:
    began = time.perf_counter()
    checker.look(Claim(claim), passages)
    return (time.perf_counter() - began) * 1000
