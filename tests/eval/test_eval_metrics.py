import math

import numpy as np
import pytest

from rag.eval.metrics import hits_at, of_rankings
from rag.eval.spans import align, find, recall_precision
from rag.eval.statistics import difference, interval


def test_the_metrics_are_those_that_one_works_out_by_hand() -> None:
    ranking = ["x", "a", "y", "b", *(f"z{i}" for i in range(20)), "c"]
    relevant = {"a": 2, "b": 1, "c": 1, "never found": 1}

    values = of_rankings({"q": ranking}, {"q": relevant})

    gained = 2 / math.log2(3) + 1 / math.log2(5)
    ideal = 2 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4) + 1 / math.log2(5)
    assert values["ndcg@10"]["q"] == pytest.approx(gained / ideal)
    assert values["recall@10"]["q"] == pytest.approx(2 / 4)
    assert values["recall@100"]["q"] == pytest.approx(3 / 4)
    assert values["mrr"]["q"] == pytest.approx(1 / 2)


def test_a_question_for_which_nothing_was_found_counts_as_nothing() -> None:
    values = of_rankings({"q": [], "r": ["a"]}, {"q": {"a": 1}, "r": {"a": 1}})
    assert values["mrr"] == {"q": 0.0, "r": 1.0}


def test_a_hit_counts_from_its_depth_on() -> None:
    assert hits_at([False, False, True]) == {1: 0.0, 5: 1.0, 10: 1.0}
    assert hits_at([]) == {1: 0.0, 5: 0.0, 10: 0.0}


def test_characters_found_twice_count_once() -> None:
    found = [("a", (0, 10)), ("a", (5, 20)), ("b", (0, 20))]
    recall, precision = recall_precision(found, [("a", (10, 30)), ("a", (15, 30))])
    assert (recall, precision) == (10 / 20, 10 / 40)
    assert recall_precision([], [("a", (0, 5))]) == (0.0, 0.0)


def test_a_span_of_our_text_is_placed_in_a_file_with_markup() -> None:
    file = "# Canteen\n\nThe canteen opens at **half  past** [eleven](http://x.example/y). End."
    ours = "Canteen\n\nThe canteen opens at half past eleven. End."
    aligned = align(ours, file)
    start = ours.index("half")
    assert aligned.in_file(start, start + len("half past eleven")) == (
        file.index("half"),
        file.index("](http"),
    )


def test_a_part_that_only_one_of_the_texts_has_is_passed_over() -> None:
    part = "".join(f"word{i} " for i in range(50))
    aligned = align(
        f"{part}only ours, and of some length {part}the end of it all, really", part * 2
    )
    assert aligned.in_file(0, len(part)) == (0, len(part) - 1)
    at = len(part) + len("only ours, and of some length ")
    assert aligned.in_file(at, at + len(part)) == (len(part), 2 * len(part) - 1)


def test_a_text_is_found_whatever_its_white_space_and_marks() -> None:
    assert find("One.\n\nThe  “quick” fox", "the quick fox") == (6, 22)
    assert find("One.", "two") is None


def test_an_interval_holds_the_mean_and_narrows_with_the_number() -> None:
    rng = np.random.default_rng(1)
    few, many = rng.random(20).tolist(), rng.random(2000).tolist()
    narrow, wide = interval(many), interval(few)
    assert narrow.low < narrow.value < narrow.high
    assert narrow.high - narrow.low < (wide.high - wide.low) / 5
    assert interval(many) == narrow, "the same numbers every time"


def test_a_real_difference_is_told_from_noise() -> None:
    rng = np.random.default_rng(2)
    before = rng.random(200)
    noise = before + rng.normal(0, 0.1, 200)
    better = noise + 0.05

    by_chance, real = difference(list(before), list(noise)), difference(list(before), list(better))

    assert by_chance.p > 0.05 and by_chance.low < 0 < by_chance.high
    assert real.p < 0.001 and real.low > 0
    assert real.value == pytest.approx(float(better.mean() - before.mean()))


def test_few_questions_are_tested_exactly() -> None:
    assert difference([0, 0, 0], [1, 1, 1]).p == pytest.approx(2 / 8)
    assert difference([0, 1], [1, 1]).p == 1.0
