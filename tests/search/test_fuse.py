"""What both branches say to one score, and neighbours to passages."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.search.dense import DenseIndex
from rag.search.fuse import above_worst, fuse, share_read
from rag.search.passages import MAX_MEMBERS, Passage, lifted, merge, spread
from rag.search.retrieve import fused as ranked_by_both
from rag.types import Chunk, StoredChunk

judged = st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 3)), min_size=1, max_size=40)
weights = st.floats(0, 1)


def fused(
    candidates: list[tuple[float, float]], weight: float = 0.7, read: float = 1.0
) -> list[float]:
    cosines, shares = (np.array(column, np.float64) for column in zip(*candidates, strict=True))
    return [float(score) for score in fuse(cosines, shares, (weight * read, 1 - weight))]


@given(judged, weights, weights)
def test_every_candidate_has_a_score_between_0_and_1(
    candidates: list[tuple[float, float]], weight: float, read: float
) -> None:
    scores = fused(candidates, weight, read)
    assert len(scores) == len(candidates)
    assert all(0 <= score <= 1 for score in scores)


@given(judged, weights, weights)
def test_a_candidate_that_both_branches_prefer_is_never_below(
    candidates: list[tuple[float, float]], weight: float, read: float
) -> None:
    scores = fused(candidates, weight, read)
    for one, its in zip(candidates, scores, strict=True):
        for other, others in zip(candidates, scores, strict=True):
            if one[0] >= other[0] and one[1] >= other[1]:
                assert its >= others


def test_a_weight_of_one_or_nought_leaves_one_branch() -> None:
    candidates = [(0.9, 0.1), (0.5, 0.8), (0.2, 0.3)]
    assert np.argsort(fused(candidates, 1.0)).tolist() == [2, 1, 0]
    assert np.argsort(fused(candidates, 0.0)).tolist() == [0, 2, 1]


def test_words_that_no_candidate_has_many_of_do_not_outweigh_the_vectors() -> None:
    has_a_rare_word, is_meant, other = (0.30, 0.15), (0.55, 0.0), (0.2, 0.0)
    scores = fused([has_a_rare_word, is_meant, other])
    assert scores[1] > scores[0], "the best of the words, but they are a small part of the query"
    has_most_words = (0.30, 0.9)
    scores = fused([has_most_words, is_meant, other])
    assert scores[0] > scores[1]


def test_what_a_model_cannot_read_is_left_to_the_words() -> None:
    scores = fused([(0.9, 0.1), (0.1, 0.2)], read=0.0)
    assert scores == [0.0, 1.0]


def test_nothing_known_of_any_candidate_is_no_score_and_one_candidate_is_the_best() -> None:
    assert fused([(-0.2, 0.0), (0.0, 0.0)]) == [0.0, 0.0]
    assert fused([(0.4, 0.0)]) == [1.0]
    assert fuse(np.zeros(0), np.zeros(0), (0.7, 0.3)).tolist() == []


@given(
    st.dictionaries(st.integers(1, 12), st.floats(0, 2), max_size=12),
    st.sets(st.integers(1, 12)),
)
def test_every_candidate_of_either_branch_is_ranked_once_and_ties_go_to_the_lower_id(
    shares: dict[int, float], dense: set[int]
) -> None:
    index = DenseIndex(2)
    angles = np.arange(12) % 4  # so that some are as near as others
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    index.append(range(1, 13), ["docs"] * 12, vectors)
    ranked = ranked_by_both(index, vectors[0], [(i, 0.0) for i in dense], shares, (0.7, 0.3))
    assert sorted(one.chunk_id for one in ranked) == sorted(dense | shares.keys())
    assert ranked == sorted(ranked, key=lambda one: (-one.score, one.chunk_id))
    assert [one.cosine for one in ranked] == pytest.approx(
        [np.cos(angles[one.chunk_id - 1]) for one in ranked], abs=1e-6
    )


def test_in_a_list_that_may_go_on_the_worst_is_no_better_than_what_is_not_in_it() -> None:
    found = [(7, 0.9), (3, 0.5), (5, 0.25)]
    assert above_worst(found, 3) == {7: 0.65, 3: 0.25, 5: 0.0}
    assert above_worst(found, 4) == dict(found)
    assert above_worst([], 4) == {}


def chunk(document_id: int, ordinal: int, header: tuple[int, int] = (0, 0)) -> StoredChunk:
    start = 10 * ordinal
    cut = Chunk(ordinal, start, start + 9, "x" * 9, header_start=header[0], header_end=header[1])
    return StoredChunk(100 * document_id + ordinal, document_id, "docs", "T", "/a", "en", cut)


places = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 12)), unique=True, max_size=25)


@given(places)
def test_a_passage_is_a_run_of_neighbours_and_each_chunk_is_in_one(
    found: list[tuple[int, int]],
) -> None:
    ranked = [
        (chunk(document, ordinal), 1 / (n + 1)) for n, (document, ordinal) in enumerate(found)
    ]
    passages = merge(ranked, len(ranked))
    for passage in passages:
        ordinals = [member.chunk.ordinal for member in passage.members]
        assert ordinals == list(range(ordinals[0], ordinals[0] + len(ordinals)))
        assert {member.document_id for member in passage.members} == {passage.best.document_id}
        assert len(ordinals) <= MAX_MEMBERS
        assert passage.best in passage.members
    assert sorted(m.id for p in passages for m in p.members) == sorted(s.id for s, _ in ranked)
    assert [p.score for p in passages] == sorted((p.score for p in passages), reverse=True)


def test_a_table_and_the_prose_beside_it_stay_apart() -> None:
    passages = merge(
        [(chunk(1, 0), 0.9), (chunk(1, 1, (10, 14)), 0.8), (chunk(1, 2, (10, 14)), 0.7)], 3
    )
    assert [[m.chunk.ordinal for m in passage.members] for passage in passages] == [[0], [1, 2]]


def test_only_the_best_chunks_join_a_better_neighbour() -> None:
    ranked = [(chunk(1, 4), 0.9), (chunk(2, 0), 0.8), (chunk(1, 5), 0.7), (chunk(1, 3), 0.1)]
    passages = merge(ranked, 3)
    assert [[m.chunk.ordinal for m in p.members] for p in passages] == [[4, 5], [0], [3]]


def shown(passages: list[Passage], k: int) -> list[tuple[int, int]]:
    return [(p.best.document_id, p.best.chunk.ordinal) for p in spread(passages, k)]


def test_in_the_second_half_a_document_that_has_two_passages_waits_for_others() -> None:
    found = [(1, 0), (1, 20), (2, 0), (1, 40), (3, 0), (1, 60), (4, 0)]
    passages = merge([(chunk(*place), 1 / (n + 1)) for n, place in enumerate(found)], 1)
    assert shown(passages, 6) == [(1, 0), (1, 20), (2, 0), (3, 0), (4, 0), (1, 40)]


def test_in_the_second_half_the_neighbour_of_a_passage_waits_for_other_places() -> None:
    found = [(1, 0), (2, 0), (1, 1), (1, 9), (2, 5)]
    passages = merge([(chunk(*place), 1 / (n + 1)) for n, place in enumerate(found)], 1)
    assert shown(passages, 4) == [(1, 0), (2, 0), (1, 9), (2, 5)]


@given(places, st.integers(1, 30))
def test_the_first_half_stands_by_score_and_nothing_is_shown_twice_or_left_out(
    found: list[tuple[int, int]], k: int
) -> None:
    passages = merge([(chunk(*place), 1 / (n + 1)) for n, place in enumerate(found)], 1)
    after = spread(passages, k)
    assert after[: -(-k // 2)] == passages[: -(-k // 2)]
    assert len(after) == min(k, len(passages))
    assert len({p.best.id for p in after}) == len(after)


def test_what_was_found_beside_another_chunk_comes_before_its_equal_that_stands_alone() -> None:
    ranked = [(chunk(1, 0), 0.9), (chunk(2, 7), 0.5), (chunk(1, 1), 0.5), (chunk(3, 3), 0.1)]
    found = lifted(ranked)
    assert [(s.document_id, s.chunk.ordinal) for s, _ in found] == [(1, 0), (1, 1), (2, 7), (3, 3)]


@given(places)
def test_lifting_loses_nothing_and_stays_between_0_and_1(found: list[tuple[int, int]]) -> None:
    ranked = [(chunk(*place), 1 / (n + 1)) for n, place in enumerate(found)]
    after = lifted(ranked)
    assert sorted(s.id for s, _ in after) == sorted(s.id for s, _ in ranked)
    assert all(0 <= score <= 1 for _, score in after)


def test_a_query_that_the_model_spells_letter_by_letter_is_left_to_the_words() -> None:
    assert share_read(0.8) == 0
    assert share_read(2.5) == 0.5
    assert share_read(4.6) == 1
