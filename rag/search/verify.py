"""Proof that store, originals and both indexes agree, as `citadel verify` asks for it."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set

from rag.search.chosen import FOLDER
from rag.search.embed import model_sha256
from rag.search.indexes import Where, open_indexes
from rag.search.interface import Dense
from rag.search.snapshot import faults
from rag.store import Store
from rag.types import IndexRow

SHOWN = 5  # ids named per problem
SAME = 0.99  # cosine from which two vectors are the same but for the index's rounding


def verify(
    store: Store, model_id: str, dim: int, setting: Where, say: Callable[[str], None]
) -> list[str]:
    """Everything that is wrong, as sentences; empty when the three agree.

    Both indexes are compared as a server would load them: snapshot, then what changed since.
    """
    problems = [
        *store.check(),
        *store.check_originals(),
        *(f"{fault}; the next search rebuilds it" for fault in faults(store)),
    ]
    problems += [*_lacks(store), *_damaged_models(store)]
    other_models = store.model_ids() - {model_id} - {model.id for model in store.models.listed()}
    if other_models:
        problems.append(
            f"vectors of {len(other_models)} other embedding model(s) are stored and not searched;"
            " run `citadel ingest` again over the same folders"
        )
    with open_indexes(store, model_id, dim, setting, say) as indexes:
        stored: set[int] = set()
        of_this_model: set[int] = set()
        different: list[int] = []
        held = indexes.dense.ids()
        among = set(held)
        with store.reading(model_id=model_id) as (seq, batches):
            for rows in batches:
                stored.update(row.chunk_id for row in rows)
                mine = [row for row in rows if row.model_id == model_id]
                of_this_model.update(row.chunk_id for row in mine)
                different += _different(mine, indexes.dense, among)
            if seq != indexes.seq:
                return [*problems, "the store changed meanwhile; run `citadel verify` again"]
        problems += _compare("dense", held, of_this_model)
        problems += _compare("lexical", indexes.lexical.ids(), stored)
        if different:
            problems.append(
                f"the dense index holds other vectors than the store: {len(different)}, such as"
                f" {different[:SHOWN]}; run `citadel reindex`"
            )
    return problems


def _lacks(store: Store) -> list[str]:
    """Whether the model in use lacks vectors: then those passages are found by words only."""
    current = store.models.current()
    n = 0 if current is None else store.models.n_lacking(current)
    if current is None or not n:
        return []
    return [
        f"{n:,} passages lack a vector of {current.name}; run `citadel model build {current.name}`"
    ]


def _damaged_models(store: Store) -> list[str]:
    """The models whose files in the data directory are not what they are known by."""
    return [
        f"the files of the model {model.name} in {files} are damaged; restore them from a backup"
        for model in store.models.listed()
        if (files := store.data_dir / FOLDER / model.id).is_dir()
        and model_sha256(files) != model.id
    ]


def _different(rows: Sequence[IndexRow], dense: Dense, held: Set[int]) -> list[int]:
    """Chunks whose vector in the index is not the store's."""
    both = [row for row in rows if row.chunk_id in held]
    if not both:
        return []
    vectors = dense.vectors([row.chunk_id for row in both])  # (n, dim)
    cosines = [float(row.vector @ vector) for row, vector in zip(both, vectors, strict=True)]
    return [row.chunk_id for row, cosine in zip(both, cosines, strict=True) if cosine < SAME]


def _compare(name: str, indexed: Iterable[int], stored: set[int]) -> list[str]:
    counts = Counter(indexed)
    found = {
        "holds chunks that the store does not have": counts.keys() - stored,
        "lacks chunks that the store has": stored - counts.keys(),
        "holds chunks more than once": {i for i, n in counts.items() if n > 1},
    }
    return [
        f"the {name} index {problem}: {len(ids)}, such as {sorted(ids)[:SHOWN]};"
        " run `citadel reindex`"
        for problem, ids in found.items()
        if ids
    ]
