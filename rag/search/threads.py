"""How many threads FAISS uses for what this thread asks of it."""

from collections.abc import Iterator
from contextlib import contextmanager

import faiss


@contextmanager
def one_thread() -> Iterator[None]:
    """Only the one that asks: for a few rows, waking others takes longer than the work.

    OpenMP keeps the number by thread, so nothing else in the process is slowed.
    """
    n_threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(n_threads)
