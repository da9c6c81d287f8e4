"""Claims in, sentences of the draft out: each checked against what it cites before anybody sees it.

A claim that its passages support carries the citations that do; one that they don't is marked or
dropped, as the settings say. What cites nothing is not supported. A lead (a heading, "The steps
are:") waits for the sentence that it leads to, whose passages must have its facts too; without one
it is never shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from anyio import to_thread

from rag.answer.cite import cite_passage
from rag.answer.claims import Claim
from rag.answer.draft import Draft
from rag.answer.events import Sentence
from rag.answer.passages import Passage
from rag.answer.prompts import NOT_FOUND
from rag.answer.support import Support, SupportChecker
from rag.answer.untrusted import safe_answer
from rag.store import Store
from rag.types import Access, Citation

UNCITED = "it cites nothing"


class Proof:
    """Checks the claims of one answer, in their order."""

    def __init__(
        self,
        passages: Mapping[str, Passage],
        checker: SupportChecker,
        store: Store,
        access: Access,
        unsupported: Literal["mark", "drop"],
    ) -> None:
        self._passages, self._checker = passages, checker
        self._store, self._access = store, access
        self._drops = unsupported == "drop"
        self._leads: list[Claim] = []
        self._glue = ""  # of what was left out since the last sentence
        self.n_claims = 0

    async def sentences(self, claims: Iterable[Claim], draft: Draft) -> list[Sentence]:
        """The sentences that these claims become, appended to the draft."""
        found: list[Sentence] = []
        for claim in claims:
            draft.n_unknown_keys += claim.n_unknown
            if NOT_FOUND in claim.text:
                continue
            self.n_claims += claim.kind == "sentence"
            claim = replace(claim, text=safe_answer(claim.text).strip())
            if not claim.text:
                self._skip(claim)
            elif claim.kind == "lead" and not claim.keys:
                self._leads.append(claim)
            else:
                found += await to_thread.run_sync(self._checked, claim, draft)
        return found

    def _checked(self, claim: Claim, draft: Draft) -> list[Sentence]:
        supports = self._checker.check(claim, self._passages)
        good = [support for support in supports if support.supported]
        reason = "" if good else supports[0].reason if supports else UNCITED
        if reason and self._drops:
            return self._drop(claim, draft)
        # What it comes nearest to is shown where nothing bears it out, so that a reader can judge.
        citations = self._citations(good or supports[:1])
        if good and not citations:
            return self._drop(claim, draft)
        leads = [self._add(lead, [], draft, kind="lead") for lead in self._fitting(claim)]
        kind: Literal["lead", "written"] = "lead" if claim.kind == "lead" else "written"
        return [*leads, self._add(claim, citations, draft, kind=kind, reason=reason)]

    def _citations(self, supports: Sequence[Support]) -> list[Citation]:
        found = (cite_passage(support, self._store, self._access) for support in supports)
        return [citation for citation in found if citation is not None]

    def _fitting(self, claim: Claim) -> list[Claim]:
        """The leads that wait, without those that say what the claim's passages don't."""
        cited = [self._passages[key] for key in claim.keys if key in self._passages]
        fitting = []
        for lead in self._leads:
            said, _ = self._checker.look(lead, [])
            if self._checker.lacking(said, cited):
                self._skip(lead)
            else:
                fitting.append(lead)
        self._leads = []
        return fitting

    def _drop(self, claim: Claim, draft: Draft) -> list[Sentence]:
        draft.n_dropped += 1
        self._skip(claim)
        return []

    def _skip(self, claim: Claim) -> None:
        self._glue = _stronger(self._glue, claim.glue)

    def _add(
        self,
        claim: Claim,
        citations: Sequence[Citation],
        draft: Draft,
        *,
        kind: Literal["lead", "written"],
        reason: str = "",
    ) -> Sentence:
        glue, self._glue = _stronger(self._glue, claim.glue), ""
        return draft.add(claim.text, citations, glue=glue, kind=kind, reason=reason)


def _stronger(one: str, other: str) -> str:
    """Of two pieces of white space the one with more line breaks."""
    return one if one.count("\n") > other.count("\n") else other
