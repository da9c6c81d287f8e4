"""Hits in, context out: what the engine reads, never more tokens than there is room for.

The best hits are taken until they fill a share of the room; those are widened to their sections,
and to whole documents where that pays; what is left goes to further hits. Each step is taken only
if what it makes fits, and the text that comes out is counted once more as a whole.

A copy is left out only where all its words, in their order, are shown already: two versions that
differ in one number or one "not" are both shown, because a reader has to know.
"""

import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rag.answer.passages import Context, Passage
from rag.answer.prompts import mark_of, render_passages
from rag.answer.tokens import TokenCounter
from rag.answer.widen import OpenDocument, Shingle, Span
from rag.errors import NotFound
from rag.store import Store
from rag.types import Access, Hit

__all__ = ["DEPTHS", "RETRIEVED_FOR", "Context", "Passage", "pack", "passage_budget"]

DEPTHS = {"quick": 8192, "standard": 32768, "exhaustive": 2**31}  # tokens of prompt and answer
RETRIEVED_FOR = {"quick": 100, "standard": 200, "exhaustive": 200}  # hits: neighbours merge
TEMPLATE_TOKENS = 128  # of the chat template around two messages, its date, and all joints
HITS_SHARE = 0.6  # of the room that hits fill before any of them is widened
SECTION_SHARE = 0.2  # of the room: a longer section is taken around its hit only
WHOLE_SHARE = 0.25  # of the room: a longer document is never taken as a whole
GOOD = 0.6  # of the best hit's score: two such hits make a document worth reading as a whole
MIN_COPY_WORDS = 20  # fewer in a row occur anywhere and end no section
MIN_PART_TOKENS = 48  # a heading line and a sentence; less room is not worth a look
MARGIN_TOKENS = 16
KEY_CHARS = 4
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


def passage_budget(window_tokens: int, depth: str, answer_tokens: int, fixed_tokens: int) -> int:
    """Tokens that the passages may have: what the depth or the window leaves, at least 0.

    `fixed_tokens` are those of system prompt, conversation and question.
    """
    whole = min(window_tokens, DEPTHS[depth])
    return max(0, whole - answer_tokens - fixed_tokens - TEMPLATE_TOKENS)


def pack(
    hits: Sequence[Hit],
    budget_tokens: int,
    count: TokenCounter,
    store: Store,
    access: Access,
    *,
    secret: bytes,
) -> Context:
    """The passages around the best hits as a text of at most `budget_tokens`.

    Documents come in reading order, the two best at the two ends. The same hits and the same
    secret give the same text. What `access` no longer allows is not in it. Blocks for as long as
    the store and the counting take.
    """
    mark = mark_of(secret)
    seeds = _seeds(hits, count, store, access, mark)
    frame = count(render_passages((), mark)) + MARGIN_TOKENS
    room = budget_tokens
    while seeds and room > frame:
        selection = _Selection(room - frame)
        n_left_out = _select(selection, seeds)
        passages = selection.passages(secret)
        text = render_passages(passages, mark)
        n_tokens = count(text)
        if passages and n_tokens <= budget_tokens:
            return Context(passages, text, n_tokens, n_left_out, mark)
        room -= max(MARGIN_TOKENS, n_tokens - budget_tokens)
    return Context((), "", 0, len(seeds), mark)


@dataclass(frozen=True, slots=True)
class _Seed:
    """A hit as chunks of its document: the best one and those found along with it."""

    document: OpenDocument
    best: int
    indices: frozenset[int]
    score: float


class _Selection:
    """What has been chosen so far, and what it costs. Whatever doesn't fit is refused."""

    def __init__(self, room_tokens: int) -> None:
        self.room = room_tokens
        self.n_tokens = 0
        self._documents: dict[int, OpenDocument] = {}
        self._chosen: dict[int, set[int]] = {}
        self._parts: dict[int, list[Span]] = {}
        self._costs: dict[int, int] = {}
        self._scores: dict[int, dict[int, float]] = {}  # document -> chunk -> score
        self._seen: set[Shingle] = set()

    @property
    def left(self) -> int:
        """Tokens that are still free."""
        return self.room - self.n_tokens

    def chosen(self, document: OpenDocument) -> set[int]:
        """The chunks of a document that are in."""
        return self._chosen.get(document.id, set())

    def repeats(self, document: OpenDocument, i: int) -> bool:
        """Whether another chunk that is in says the same, word for word."""
        return i not in self.chosen(document) and document.shingles(i) <= self._seen

    def shows(self, seed: _Seed) -> bool:
        """Whether what a hit says is in."""
        document, best = seed.document, seed.best
        is_in = best in self.chosen(document) or self.has_part(document, best)
        return is_in or self.repeats(document, best)

    def score(self, seed: _Seed) -> None:
        """Note a hit's score."""
        of_document = self._scores.setdefault(seed.document.id, {})
        of_document[seed.best] = max(seed.score, of_document.get(seed.best, 0.0))

    def add(self, document: OpenDocument, indices: set[int]) -> bool:
        """Take these chunks too, and what they must not be cut from, if they fit."""
        before = self.chosen(document)
        after = before | document.closed(indices)
        parts = [p for p in self._parts.get(document.id, []) if p.first not in after]
        return self._take(document, after, parts)

    def add_part(self, document: OpenDocument, part: Span) -> bool:
        """Take a part of a chunk, if it fits."""
        parts = [*self._parts.get(document.id, []), part]
        return self._take(document, self.chosen(document), parts)

    def has_part(self, document: OpenDocument, i: int) -> bool:
        """Whether a part of the chunk is in."""
        return any(part.first == i for part in self._parts.get(document.id, []))

    def _take(self, document: OpenDocument, chosen: set[int], parts: list[Span]) -> bool:
        spans = [*document.spans(chosen), *parts]
        cost = sum(document.cost(span) for span in spans)
        more = cost - self._costs.get(document.id, 0)
        if more > self.left:
            return False
        for i in chosen - self.chosen(document):
            self._seen |= document.shingles(i)
        self._documents[document.id] = document
        self._chosen[document.id], self._parts[document.id] = chosen, parts
        self._costs[document.id] = cost
        self.n_tokens += more
        return True

    def passages(self, secret: bytes) -> tuple[Passage, ...]:
        """Everything chosen, in the order shown."""
        best = {i: max(self._scores.get(i, {}).values(), default=0.0) for i in self._documents}
        ranked = sorted(self._documents, key=lambda i: (-best[i], i))
        made = [p for i in _edges_first(ranked) for p in self._of_document(self._documents[i])]
        return _keyed(made, secret)

    def _of_document(self, document: OpenDocument) -> list[Passage]:
        spans = [*document.spans(self._chosen[document.id]), *self._parts[document.id]]
        scores = self._scores.get(document.id, {})
        return [
            document.passage(
                span,
                max((scores.get(i, 0.0) for i in range(span.first, span.last + 1)), default=0.0),
                document.cost(span),
            )
            for span in sorted(spans, key=lambda span: span.char_start)
        ]


# Choosing


def _seeds(
    hits: Sequence[Hit], count: TokenCounter, store: Store, access: Access, mark: str
) -> list[_Seed]:
    """The hits that may still be read, best first; those of a second copy as those of the first."""
    opened: dict[int, OpenDocument | None] = {}
    first_copy: dict[int, OpenDocument] = {}
    seeds = []
    for hit in sorted(hits, key=_place):
        document_id = hit.chunk.document_id
        if document_id not in opened:
            opened[document_id] = _open(document_id, count, store, access, mark)
        document = opened[document_id]
        if document is None or hit.chunk.id not in document.at:
            continue
        original = first_copy.setdefault(document.fingerprint, document)
        best = document.at[hit.chunk.id]
        around = {document.at[m.id] for m in hit.members if m.id in document.at}
        run = frozenset(_run(document, best, around))
        seeds.append(_Seed(original, best, run, hit.score))
    return seeds


def _place(hit: Hit) -> tuple[float, int, int, int, int]:
    """Orders hits: the best first, and always the same way."""
    return -hit.score, hit.chunk.document_id, hit.char_start, hit.char_end, hit.chunk.id


def _open(
    document_id: int, count: TokenCounter, store: Store, access: Access, mark: str
) -> OpenDocument | None:
    try:
        return OpenDocument(document_id, count, store, access, mark)
    except NotFound:  # removed since it was found
        return None


def _run(document: OpenDocument, best: int, around: set[int]) -> set[int]:
    """The chunks of a hit that still follow one another, the best one among them."""
    first = last = best
    while first - 1 in around and document.follows(first - 1):
        first -= 1
    while last + 1 in around and document.follows(last):
        last += 1
    return set(range(first, last + 1))


def _select(selection: _Selection, seeds: Sequence[_Seed]) -> int:
    """Fill the room; returns the number of hits that it was too small for."""
    taken = []
    for n, seed in enumerate(seeds):
        if n and selection.n_tokens >= HITS_SHARE * selection.room:
            break
        if _take_hit(selection, seed):
            taken.append(seed)
    for seed in taken:
        _widen_to_section(selection, seed)
    for document in _worth_reading(taken):
        _widen_to_document(selection, document)
    n_left_out = 0
    for seed in seeds:
        if selection.left < MIN_PART_TOKENS:
            n_left_out += not selection.shows(seed)
        elif not _take_hit(selection, seed):
            n_left_out += not _take_part(selection, seed)
    return n_left_out


def _take_hit(selection: _Selection, seed: _Seed) -> bool:
    """Take a hit, its best chunk alone if not all fits. True if what it says is in already."""
    document = seed.document
    if selection.repeats(document, seed.best):
        return True
    wanted = {i for i in seed.indices if i == seed.best or not selection.repeats(document, i)}
    for indices in (set(_run(document, seed.best, wanted)), {seed.best}):
        if selection.add(document, indices):
            selection.score(seed)
            return True
    return False


def _take_part(selection: _Selection, seed: _Seed) -> bool:
    """Take as much of a hit's best chunk as fits, whole sentences or rows of it."""
    if selection.has_part(seed.document, seed.best):
        return True
    for part in seed.document.leading_parts(seed.best):
        fits = seed.document.cost(part) <= selection.left
        if fits and selection.add_part(seed.document, part):
            selection.score(seed)
            return True
    return False


def _widen_to_section(selection: _Selection, seed: _Seed) -> None:
    """Let a hit grow on both sides in its section, as far as there is room for it."""
    document = seed.document
    most = min(selection.left, int(SECTION_SHARE * selection.room))
    wanted: list[int] = []
    n_tokens = 0
    for i in _outward(selection, document, seed.best):
        if i in selection.chosen(document):
            continue
        n_tokens += document.n_tokens(i)
        if n_tokens > most:
            break
        wanted.append(i)
    while wanted and not selection.add(document, set(wanted)):
        del wanted[len(wanted) * 3 // 4 :]


def _outward(selection: _Selection, document: OpenDocument, best: int) -> Iterator[int]:
    """The chunks of a section from `best` outwards, on each side up to one that is a copy."""
    section = document.section(best)
    sides = [iter(range(best + 1, section.stop)), iter(range(best - 1, section.start - 1, -1))]
    while sides:
        for side in list(sides):
            i = next(side, None)
            if i is None or _is_copy(selection, document, i):
                sides.remove(side)
            else:
                yield i


def _worth_reading(seeds: Sequence[_Seed]) -> list[OpenDocument]:
    """The documents that were found more than once by good hits, in the order of their best."""
    n_good: dict[int, int] = {}
    documents: dict[int, OpenDocument] = {}
    for seed in seeds:
        if seed.score >= GOOD * seeds[0].score:
            documents.setdefault(seed.document.id, seed.document)
            n_good[seed.document.id] = n_good.get(seed.document.id, 0) + 1
    return [document for i, document in documents.items() if n_good[i] > 1]


def _widen_to_document(selection: _Selection, document: OpenDocument) -> None:
    most = int(WHOLE_SHARE * selection.room)
    if sum(stored.chunk.n_tokens for stored in document.chunks) > 2 * most:
        return  # far too long by the embedding model's count; not worth another
    chunks = range(len(document.chunks))
    if sum(map(document.n_tokens, chunks)) <= most:
        selection.add(document, {i for i in chunks if not _is_copy(selection, document, i)})


def _is_copy(selection: _Selection, document: OpenDocument, i: int) -> bool:
    return len(document.shingles(i)) >= MIN_COPY_WORDS and selection.repeats(document, i)


# Showing


def _edges_first(ranked: Sequence[int]) -> list[int]:
    """Best, third, fifth … fourth, second best: what a model reads best stands at the ends."""
    return [*ranked[::2], *reversed(ranked[1::2])]


def _keyed(passages: Sequence[Passage], secret: bytes) -> tuple[Passage, ...]:
    """The passages with keys that depend on nothing but the secret and which passages there are."""
    keys: dict[tuple[int, int, int], str] = {}
    used: set[str] = set()
    places = sorted((p.document_id, p.char_start, p.char_end) for p in passages)
    for place in places:
        keys[place] = next(key for key in _possible_keys(place, secret) if key not in used)
        used.add(keys[place])
    return tuple(replace(p, key=keys[p.document_id, p.char_start, p.char_end]) for p in passages)


def _possible_keys(place: tuple[int, int, int], secret: bytes) -> Iterator[str]:
    """Keys for a passage without end. Letters and digits in each: no word and no year is a key."""
    n_tries = 0
    while True:
        text = ":".join(map(str, (*place, n_tries)))
        number = int.from_bytes(hmac.digest(secret, text.encode(), "sha256"))
        key = ""
        for _ in range(KEY_CHARS):
            number, at = divmod(number, len(_ALPHABET))
            key += _ALPHABET[at]
        if not key.isdigit() and not key.isalpha():
            yield key
        n_tries += 1
