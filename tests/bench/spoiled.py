"""Claims with the passage that they cite, and the same spoiled: swapped, altered, denied…"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from rag.answer.claims import ClaimSplitter
from rag.answer.facts import names
from rag.answer.pack import Passage
from rag.text import sentence_spans, words

CORRECT = "correct"
SWAPPED, NEAR = "swapped", "swapped, nearest"
ALTERED, MOVED = "number altered", "number of the passage"
DENIED, RENAMED = "denied", "name swapped"
WRONG = (SWAPPED, NEAR, ALTERED, MOVED, DENIED, RENAMED)
ALIKE = 0.5  # shared words, by Jaccard, from which one passage may support what another does
_DIGITS = re.compile(r"\d+(?:[.,]\d+)*")
_VERBS = {
    "en": "is are was were can will must may should would could has have does do did",
    "de": "ist sind war waren kann können wird werden wurde wurden hat haben muss müssen darf",
    "es": "es son fue fueron está están puede pueden debe deben ha han tiene tienen hay era eran",
}
_NOT = {"en": "not", "de": "nicht", "es": "no"}


@dataclass(frozen=True, slots=True)
class Case:
    """A claim put to a passage. `name` is the set's, `kind` one of the above."""

    name: str
    kind: str
    claim: str
    language: str
    passage: Passage

    @property
    def source(self) -> str:
        """The set, whatever language it is put in."""
        return self.name.split(" ")[0].split("/")[0]


def made_passage(
    number: int, title: str, text: str, language: str, heading_path: tuple[str, ...] = ()
) -> Passage:
    """A passage of its own document."""
    return Passage(
        key=f"p{number:03}",
        document_id=number,
        title=title,
        source_uri=f"/{number}",
        heading_path=heading_path,
        page_start=None,
        page_end=None,
        date="",
        char_start=0,
        char_end=len(text),
        text=text,
        chunk_ids=(),
        language=language,
        score=1.0,
        n_tokens=0,
    )


def sentences(answer: str, language: str) -> list[str]:
    """The sentences of a gold answer that say something by themselves."""
    splitter = ClaimSplitter((), language)
    claims = splitter.feed(answer) + splitter.finish()
    return [c.text for c in claims if c.kind == "sentence" and len(words(c.text)) >= 5]


def copied(passage: Passage, most: int) -> list[str]:
    """Sentences of a passage of a middling length, spread evenly."""
    spans = sentence_spans(passage.text, passage.language)
    texts = [" ".join(passage.text[s:e].split()) for s, e in spans]
    fit = [text for text in texts if 8 <= len(words(text)) <= 40]
    return fit[:: max(1, len(fit) // most)][:most]


def spoil(right: Sequence[Case], others: dict[int, list[Passage]]) -> list[Case]:
    """All that can be made wrong of correct cases.

    `others` are, for each case, passages of the same set that it does not cite: any one first, then
    those nearest to its words.
    """
    pool = [name for case in right for name in names(case.claim, case.language)]
    made: list[Case] = []
    for i, case in enumerate(right):
        chance = random.Random(i)
        any_one, *near = others[i]
        made.append(replace(case, kind=SWAPPED, passage=any_one))
        unlike = (one for one in near if not _alike(one.text, case.passage.text))
        made += [replace(case, kind=NEAR, passage=one) for one in islice(unlike, 1)]
        for kind, claim in _altered(case, pool, chance):
            made.append(replace(case, kind=kind, claim=claim))
    return made


def _altered(case: Case, pool: Sequence[str], chance: random.Random) -> Iterator[tuple[str, str]]:
    said = list(_DIGITS.finditer(case.claim))
    present = _DIGITS.findall(f"{case.passage.title} {case.passage.text}")
    if said:
        number = chance.choice(said)
        for kind, new in ((ALTERED, _other_digits(number[0], present, chance)), (MOVED, "")):
            if kind == MOVED:
                spoken = {match[0] for match in said}
                rest = [p for p in present if p not in spoken and len(p) >= len(number[0]) - 1]
                new = chance.choice(rest) if rest else ""
            if new:
                yield kind, case.claim[: number.start()] + new + case.claim[number.end() :]
    if denied := _denied(case.claim, case.language):
        yield DENIED, denied
    own = [n for n in names(case.claim, case.language) if len(n) > 2]
    absent = [n for n in pool if n.lower() not in case.passage.text.lower() and len(n) > 2]
    if own and absent:
        old = chance.choice(own)
        yield RENAMED, re.sub(rf"\b{re.escape(old)}\b", chance.choice(absent), case.claim)


def _other_digits(number: str, present: Sequence[str], chance: random.Random) -> str:
    """The same shape with one digit changed, and not what the passage has elsewhere."""
    at = [i for i, char in enumerate(number) if char.isdigit()]
    for _ in range(20):
        i = chance.choice(at)
        digit = chance.choice([d for d in "123456789" if d != number[i]])
        new = number[:i] + digit + number[i + 1 :]
        if new not in present:
            return new
    return ""


def _denied(claim: str, language: str) -> str:
    """The opposite, by one word put in or left out; empty where that can't be done by rule."""
    word = _NOT.get(language, "")
    if not word or claim.rstrip().endswith("?"):
        return ""
    if found := re.search(rf"\b{word}\b ", claim):
        return claim[: found.start()] + claim[found.end() :]
    verb = re.search(rf"\b({'|'.join(_VERBS[language].split())})\b", claim)
    if verb is None:
        return ""
    at = verb.start() if language == "es" else verb.end()
    put = f"{word} " if language == "es" else f" {word}"
    return claim[:at] + put + claim[at:]


def _alike(one: str, other: str) -> bool:
    ours, theirs = set(words(one)), set(words(other))
    return len(ours & theirs) / max(1, len(ours | theirs)) >= ALIKE
