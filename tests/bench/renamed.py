"""Questions about somebody else: real ones with a name exchanged, and notes that are all alike."""

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from rag.answer.facts import names
from tests.bench.sets import Asked

SEED = 5
OTHERS = (  # in none of the sets
    *("Dupont", "Okafor", "Lindqvist", "Haraldsen", "Castellanos", "Szymanski", "Achterberg"),
    *("Oyelaran", "Bianchini", "Thorvald", "Vukovic", "Nakagawa", "Ferreira", "Kowalczyk"),
)
FIRST = (
    *("Anna", "Ben", "Carla", "David", "Elena", "Farid", "Greta", "Hugo", "Ines", "Jonas"),
    *("Katja", "Liam", "Maria", "Nils", "Olga", "Paul"),
)
LAST = (
    *("Keller", "Brandt", "Moreau", "Silva", "Novak", "Hansen", "Weber", "Rossi", "Fischer"),
    *("Dubois", "Larsen", "Meyer", "Costa", "Lang", "Berg", "Stone"),
)
N_NOTES = 200
KINDS = (  # a note, and what is asked of it
    (
        "Locker assignment\n\nThe locker code of employee {person} is {code}. The locker stands in"
        " the basement of building {building}.",
        "What is the locker code of employee {person}?",
    ),
    (
        "Desk phones\n\n{person} can be reached at extension {code}, in building {building}.",
        "Which extension does {person} have?",
    ),
    (
        "Badge record\n\nBadge number {code} was issued to {person} on 3 March 2024 at gate"
        " {building}.",
        "What is the badge number of {person}?",
    ),
    (
        "Invoice INV-{code}\n\nInvoice INV-{code} of {person} over 1,200 euros is due on 14 May"
        " 2024.",
        "When is invoice INV-{code} due?",
    ),
)


def with_other_names(asked: Sequence[Asked], language: str) -> list[Asked]:
    """Each question that has a name, with another word in the place of one of them."""
    draw = random.Random(SEED)
    found = []
    for one in asked:
        if known := [name for name in names(one.text, language) if len(name) > 2]:
            name = re.escape(draw.choice(known))
            other = re.sub(rf"(?<!\w){name}(?!\w)", draw.choice(OTHERS), one.text)
            found.append(replace(one, text=other))
    return found


def notes() -> tuple[list[str], list[Asked], list[Asked]]:
    """Notes on people, questions that one of them answers, and such that none does.

    Of who is asked for in vain, given and family name each stand in some other note.
    """
    draw = random.Random(SEED)
    people = [f"{first} {last}" for first in FIRST for last in LAST]
    draw.shuffle(people)
    texts, known, unknown = [], [], []
    for i, person in enumerate(people):
        note, question = KINDS[i % len(KINDS)]
        said = {"person": person, "code": draw.randrange(1000, 9999), "building": "ABCD"[i % 4]}
        asked = Asked(question.format(**said))
        if i < N_NOTES:
            texts.append(note.format(**said))
            known.append(asked)
        else:
            unknown.append(asked)
    return texts, known, unknown
