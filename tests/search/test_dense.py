"""The dense index against plain arithmetic."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from rag.errors import SearchIndexError
from rag.search.coded import Kind
from rag.search.dense import DenseIndex, choose_kind, lists_for
from rag.types import Access, Vectors

BOTH = Access(frozenset({"docs", "board"}))


def unit_vectors(n: int, dim: int, seed: int = 0) -> Vectors:
    rows = np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def filled(n: int = 50, dim: int = 8, kind: Kind = "flat") -> DenseIndex:
    index = DenseIndex(dim, kind, n)
    index.append(range(100, 100 + n), ["docs", "board"] * (n // 2), unit_vectors(n, dim))
    return index


@hypothesis_settings(deadline=None)
@given(
    deleted=st.sets(st.integers(100, 149), max_size=45),
    collections=st.sets(st.sampled_from(["docs", "board", "other"])),
    k=st.integers(1, 60),
    seed=st.integers(0, 100),
)
def test_a_search_is_the_same_as_sorting_all_readable_rows(
    deleted: set[int], collections: set[str], k: int, seed: int
) -> None:
    index = filled()
    index.delete(sorted(deleted))
    query = unit_vectors(1, 8, seed)[0]
    readable = [
        (i, float(score))
        for i, name, score in zip(
            range(100, 150), ["docs", "board"] * 25, unit_vectors(50, 8) @ query, strict=True
        )
        if i not in deleted and name in collections
    ]
    expected = sorted(readable, key=lambda item: -item[1])[:k]
    hits = index.search(query, k, Access(frozenset(collections)))
    assert [i for i, _ in hits] == [i for i, _ in expected]
    np.testing.assert_allclose([s for _, s in hits], [s for _, s in expected], atol=1e-5)


def test_nothing_is_found_in_an_empty_index_or_with_no_access() -> None:
    query = unit_vectors(1, 8)[0]
    assert DenseIndex(8).search(query, 5, BOTH) == []
    assert filled().search(query, 5, Access(frozenset())) == []


def test_rows_added_after_a_search_are_found_by_the_next() -> None:
    index, query = filled(), unit_vectors(1, 8, 7)[0]
    index.search(query, 5, BOTH)
    index.append([999], ["docs"], query[None, :])
    assert index.search(query, 1, BOTH)[0][0] == 999
    index.delete([999])
    assert 999 not in [i for i, _ in index.search(query, 50, BOTH)]


@pytest.mark.parametrize("kind", ["flat", "sq8", "ivf"])
def test_what_is_saved_is_loaded_without_the_deleted(kind: Kind, tmp_path: Path) -> None:
    index = filled(kind=kind)
    index.delete([100, 120, 149])
    before = index.search(unit_vectors(1, 8, 3)[0], 20, Access(frozenset({"board"})))
    index.save(tmp_path)
    loaded = DenseIndex.load(tmp_path, kind)
    assert sorted(loaded.ids()) == index.ids() == [i for i in range(101, 149) if i != 120]
    assert loaded.search(unit_vectors(1, 8, 3)[0], 20, Access(frozenset({"board"}))) == before
    assert len(loaded) == 47
    for one in (index, loaded):
        one.append([999], ["board"], unit_vectors(1, 8, 3))
        assert one.search(unit_vectors(1, 8, 3)[0], 1, BOTH)[0][0] == 999


def test_an_empty_index_can_be_saved_and_loaded(tmp_path: Path) -> None:
    DenseIndex(8).save(tmp_path)
    loaded = DenseIndex.load(tmp_path, "flat")
    loaded.append([1], ["docs"], unit_vectors(1, 8))
    assert loaded.search(unit_vectors(1, 8)[0], 3, BOTH)[0][0] == 1


@pytest.mark.parametrize(
    "name", ["vectors.faiss", "ids.npy", "codes.npy", "places.npy", "names.npy"]
)
@pytest.mark.parametrize("damage", ["missing", "empty", "garbage"])
def test_files_that_are_no_index_are_an_error_that_says_so(
    name: str, damage: str, tmp_path: Path
) -> None:
    filled().save(tmp_path)
    if damage == "missing":
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(b"" if damage == "empty" else b"garbage" * 100)
    with pytest.raises(SearchIndexError, match="dense index"):
        DenseIndex.load(tmp_path, "flat")


def test_vectors_of_another_kind_are_an_error(tmp_path: Path) -> None:
    filled(kind="ivf").save(tmp_path)
    codes = np.load(tmp_path / "codes.npy")
    np.save(tmp_path / "codes.npy", codes[:, :-1])
    with pytest.raises(SearchIndexError, match="of another kind"):
        DenseIndex.load(tmp_path, "ivf")


def test_rows_without_an_id_are_an_error(tmp_path: Path) -> None:
    filled().save(tmp_path)
    np.save(tmp_path / "ids.npy", np.arange(7))
    with pytest.raises(SearchIndexError, match="one id for each vector"):
        DenseIndex.load(tmp_path, "flat")


def test_eight_bits_and_full_precision_agree_closely() -> None:
    vectors = unit_vectors(3000, 64)
    flat, sq8 = DenseIndex(64, "flat"), DenseIndex(64, "sq8")
    for index in (flat, sq8):
        index.append(range(3000), ["docs"] * 3000, vectors)
    common = []
    for query in unit_vectors(30, 64, 1):
        exact, coarse = dict(flat.search(query, 10, BOTH)), dict(sq8.search(query, 10, BOTH))
        common.append(len(exact.keys() & coarse.keys()))
        for i in exact.keys() & coarse.keys():
            assert coarse[i] == pytest.approx(exact[i], abs=0.01)
    assert np.mean(common) > 9


def test_few_rows_are_kept_in_full_precision_whatever_is_set() -> None:
    assert choose_kind("sq8", 10) == "flat", "a quantiser that learnt from 10 rows is no good"
    assert choose_kind("sq8", 50_000) == "sq8"
    assert choose_kind("auto", 50_000) == "flat"
    assert choose_kind("auto", 100_000) == "ivf"
    assert choose_kind("auto", 10**6) == "ivf"
    assert choose_kind("ivf", 50_000) == "ivf"
    assert choose_kind("flat", 10**7) == "flat"


def real_like(n: int, dim: int, seed: int) -> Vectors:
    """Unit vectors that lie in heaps, as those of texts do; heaps are the same for all seeds."""
    random = np.random.default_rng(seed)
    heaps = unit_vectors(n=60, dim=dim, seed=99)
    rows = heaps[random.integers(60, size=n)] + random.normal(0, 0.08, (n, dim))
    rows = rows.astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@hypothesis_settings(deadline=None, max_examples=40)
@given(
    changes=st.lists(
        st.tuples(st.booleans(), st.integers(1, 60), st.integers(0, 10**6)), max_size=12
    ),
    collections=st.sets(st.sampled_from(["docs", "board", "other"]), min_size=1),
    lists=st.sets(st.integers(1, 3)),
)
def test_lists_find_what_all_rows_have_whatever_came_and_went(
    changes: list[tuple[bool, int, int]], collections: set[str], lists: set[int]
) -> None:
    index, exact = DenseIndex(16, "ivf", 400), DenseIndex(16, "flat")
    learnt = real_like(300, 16, 1)
    index.train(learnt)
    held: set[int] = set()
    access = Access(frozenset(collections), lists=frozenset(lists))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("rag.search.lists.FEW_ROWS", 20)
        patched.setattr("rag.search.byte_rows.BLOCK", 70)
        patched.setattr("rag.search.rows.LARGEST_RUN", 100)
        for number, (adds, n, seed) in enumerate([(True, 200, 5), *changes]):
            if adds:
                ids = list(range(1000 * number, 1000 * number + n))
                held.update(ids)
                names = [("docs", "board", "other")[i % 3] for i in ids]
                for one in (index, exact):
                    one.append(ids, names, real_like(n, 16, seed), [i % 4 for i in ids])
            else:
                gone = sorted(held)[seed % 7 :: 7][:n]
                held.difference_update(gone)
                for one in (index, exact):
                    one.delete([*gone, -5])
            query = real_like(1, 16, seed)[0]
            ours, theirs = (dict(one.search(query, 1000, access)) for one in (index, exact))
            assert ours.keys() == theirs.keys()
            assert all(abs(ours[i] - theirs[i]) < 0.05 for i in theirs)
    assert sorted(index.ids()) == sorted(held)
    assert len(index) == len(held)


def test_lists_keep_nearly_all_of_the_nearest_under_every_filter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rag.search.lists.FEW_ROWS", 100)
    vectors = real_like(20_000, 48, 2)
    shares = {"one": 0.01, "nine": 0.09, "rest": 0.9}
    names = np.random.default_rng(3).choice(list(shares), 20_000, p=list(shares.values())).tolist()
    index, exact = DenseIndex(48, "ivf", 20_000), DenseIndex(48, "flat")
    for one in (index, exact):
        one.append(range(20_000), names, vectors)
    for readable in (["one"], ["one", "nine"], list(shares)):
        access, kept = Access(frozenset(readable)), []
        for query in real_like(50, 48, 4):
            best = {i for i, _ in exact.search(query, 10, access)}
            kept.append(len(best & {i for i, _ in index.search(query, 10, access)}) / 10)
        assert np.mean(kept) > 0.95, readable


def test_an_index_is_outgrown_by_size_and_not_by_a_few_deletions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rag.search.dense.IVF_FROM", 50)
    index = filled(kind="ivf")
    assert not index.outgrown("auto")
    index.delete(range(100, 110))
    assert not index.outgrown("auto"), "it would be built to and fro"
    index.delete(range(110, 140))
    assert index.outgrown("auto")
    assert filled(kind="flat").outgrown("auto")
    assert lists_for(10**6) == 1024
