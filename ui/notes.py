"""HTML about people and what is theirs: accounts, conversations, files that were sent.

Pure functions, as in `render`: whatever a person or a file says of itself is escaped.
"""

from html import escape

from rag.client.account import Me, Session
from rag.client.records import Document
from ui.render import aside, badge, notice, problem, said
from ui.session import Upload

_HOW = {
    "password": "by password",
    "link": "by a link",
    "oidc": "by the company's account",
    "ldap": "by the company's directory",
    "proxy": "by the company's proxy",
}
_STATES = {"waiting": "Waiting", "running": "Being read", "cancelled": "Cancelled"}


def done(text: str) -> str:
    """That something was done."""
    return f'<p class="done" role="status">{said(text)}</p>'


def lost() -> str:
    """In the place of a conversation that is not there, or another's, which looks the same."""
    return notice(
        "This conversation is not there",
        "It may have been deleted. Yours are listed at the side; a question begins a new one.",
    )


def nothing_kept() -> str:
    """In the place of the turns of a conversation that has none."""
    return notice("Nothing was kept here", "An answer that is stopped before its end is not kept.")


def not_kept() -> str:
    """Below an answer whose conversation was deleted while it was written."""
    return aside("This answer was not kept: its conversation has been deleted.")


def who(me: Me) -> str:
    """Who is signed in, and what as."""
    facts = [("Groups", me.groups), ("Roles", me.roles)]
    lines = [f"{name}: {escape(', '.join(each))}" for name, each in facts if each]
    if me.name == "operator":
        lines = ["The operator of this server, who may read everything."]
    body = "".join(f'<p class="file">{line}</p>' for line in lines)
    return f"<p><strong>{escape(me.name)}</strong></p>{body}"


def signed_in(session: Session, browser: str) -> str:
    """Where and since when there is a session."""
    where = browser or "An unknown browser"
    here = " " + badge("This browser", "good") if session.current else ""
    facts = [
        escape(session.address),
        escape(_HOW.get(session.how, session.how)),
        f"since {session.created_at:%d %b, %H:%M} UTC",
    ]
    line = " · ".join(fact for fact in facts if fact)
    return f'<p class="where">{escape(where)}{here}</p><p class="file">{line}</p>'


def into(collection: str) -> str:
    """Where files go, and who will read them."""
    name = escape(collection)
    return f'<p class="file">Into “{name}”, for everybody who may read that collection.</p>'


def upload(sent: Upload) -> str:
    """A file that was sent: how far it is, or why it was not taken and what to do."""
    state, why = _upload_state(sent)
    return f'<div class="upload">{state}<strong>{escape(sent.name)}</strong></div>{why}'


def _upload_state(sent: Upload) -> tuple[str, str]:
    if sent.problem is not None:
        return badge("Not uploaded", "bad"), problem(sent.problem)
    if sent.run is None:
        return badge("Was there already", "good"), ""
    run = sent.run
    if run.failures:
        return badge("Not ingested", "bad"), _reason(run.failures[0].error, run.failures[0].hint)
    if run.state == "failed":
        return badge("Not ingested", "bad"), _reason(run.message, run.hint)
    if run.state == "done":
        return badge("Ready", "good"), ""
    return badge(_STATES[run.state], "warn"), ""


def _reason(error: str, hint: str) -> str:
    todo = f'<p class="todo">{said(hint)}</p>' if hint else ""
    return f'<p class="reason">{said(error)}</p>{todo}'


def to_be_deleted(document: Document) -> str:
    """What is asked before a document is deleted."""
    name = escape(document.title or document.name)
    return (
        f"<p>“{name}” goes with what was attached to it, for everybody. No question that is asked "
        f"from now on finds it.</p>"
    )
