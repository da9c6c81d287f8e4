"""An answer while it grows, and what is taken back of it."""

from rag.answer.draft import Draft
from rag.answer.guard import Verdict

NO_VERDICT = Verdict("block", "", reason="the guard cannot be reached")


def test_what_a_thread_still_adds_after_a_block_is_not_kept() -> None:
    draft = Draft()
    draft.add("One.", [], glue="")
    assert draft.judged(NO_VERDICT) is None
    draft.add("Two.", [], glue=" ")
    assert (draft.status, draft.text, draft.sentences) == ("no_verdict", "", [])
    assert draft.taken_back == "One."
