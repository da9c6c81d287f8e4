"""Conversations over HTTP: kept, continued, changed, exported, and nobody else's."""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import api_samples
import httpx
import pytest
from api_live import Live, running, wait_for
from api_samples import LEAVE
from httpx_sse import connect_sse
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from rag.answer.events import Final
from rag.answer.pipeline import collect
from rag.answer.prompts import NOT_FOUND
from rag.api import exports
from rag.api.bodies import cursors, models, talk_models
from rag.api.turns import Talk, keeping
from rag.appliance import Appliance
from rag.errors import BadRequest
from rag.search.embed import load_embedder
from rag.settings import Settings, load_settings
from rag.store import Store, Wanted
from tests.fakes.vllm import FakeVLLM, fake_vllm

HANDBOOK = "/srv/documents/handbook.pdf"
QUESTION = "How many days of paid annual leave does every employee receive per calendar year?"
FOLLOW_UP = "And how many months of parental leave may parents take for each child?"
WORDS = ("28 days", "Handbook", "handbook.pdf")

Json = dict[str, Any]
Closing = Callable[[], AbstractContextManager[None]]


def write(body: Json) -> str:
    """The handbook's sentence with its passage's key; no answer where it is not in the prompt."""
    prompt = body["messages"][-1]["content"]
    if LEAVE not in prompt:
        return NOT_FOUND
    keys = re.findall(r"^### \w+ \[(\w{4})\]", prompt[: prompt.index(LEAVE)], re.MULTILINE)
    return f"{LEAVE} [{keys[-1]}]" if keys else NOT_FOUND


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Settings:
    data_dir = tmp_path_factory.mktemp("conversations") / "data"
    data_dir.mkdir()
    (data_dir / "models").symlink_to(models)
    return load_settings(data_dir=data_dir)


@pytest.fixture(scope="module")
def store(settings: Settings) -> Iterator[Store]:
    """Ann and bob may read all of hr."""
    with Store.open(settings.url, data_dir=settings.data_dir) as store:
        store.ids = api_samples.fill(store, load_embedder(settings))  # type: ignore[attr-defined]
        for name in ("ann", "bob"):
            store.permissions.add_principal("user", name)
        store.permissions.grant("hr", "user:ann", "read")
        store.permissions.grant("hr", "user:bob", "read")
        yield store


@pytest.fixture(scope="module")
def server(settings: Settings, store: Store) -> Iterator[Live]:
    with running(lambda: Appliance(settings), store.ids) as live:  # type: ignore[attr-defined]
        with live.client() as client:
            wait_for(lambda: client.get("/readyz").status_code == 200)
        yield live


def signed_in(server: Live, name: str) -> httpx.Client:
    session = server.session(server.store.user_number(name))
    cookie = {"Cookie": f"citadel_session={session}", "Host": f"127.0.0.1:{server.port}"}
    return server.client(headers=cookie)


@pytest.fixture(scope="module")
def ann(server: Live) -> Iterator[httpx.Client]:
    with signed_in(server, "ann") as client:
        yield client


@pytest.fixture(scope="module")
def bob(server: Live) -> Iterator[httpx.Client]:
    with signed_in(server, "bob") as client:
        yield client


@pytest.fixture(scope="module")
def engine() -> Iterator[FakeVLLM]:
    with fake_vllm(answer=write) as fake:
        yield fake


@pytest.fixture(scope="module")
def written(settings: Settings, store: Store, engine: FakeVLLM) -> Iterator[Live]:
    """A server over the same store whose answers an engine writes."""
    with fake_vllm(judge=lambda messages: "safe") as guard:
        changes = {"engine_url": engine.url, "guard_url": guard.url}
        changed = settings.model_copy(update=changes)
        with running(lambda: Appliance(changed), {}) as live, live.client() as client:
            wait_for(lambda: client.get("/readyz").status_code == 200)
            yield live


@pytest.fixture
def closing(store: Store) -> Closing:
    """A time in which only bob may read the handbook."""

    @contextmanager
    def closed() -> Iterator[None]:
        store.permissions.limit("hr", HANDBOOK, ["user:bob"])
        try:
            yield
        finally:
            store.permissions.limit("hr", HANDBOOK, None)

    return closed


def begun(client: httpx.Client, title: str = "") -> int:
    """A new conversation."""
    response = client.post("/v1/conversations", json={"title": title})
    assert response.status_code == 201
    number = talk_models.Conversation.model_validate(response.json()).id
    assert response.headers["location"] == f"/v1/conversations/{number}"
    return number


def asked(client: httpx.Client, conversation_id: int, question: str = QUESTION) -> models.Answer:
    body = {"question": question, "conversation_id": conversation_id}
    return models.Answer.model_validate(client.post("/v1/query", json=body).json())


def read(client: httpx.Client, conversation_id: int) -> talk_models.ConversationRead:
    response = client.get(f"/v1/conversations/{conversation_id}")
    assert response.status_code == 200
    return talk_models.ConversationRead.model_validate(response.json())


def test_an_answer_becomes_the_next_turn_of_its_conversation(ann: httpx.Client) -> None:
    number = begun(ann)
    answer = asked(ann, number)
    assert answer.conversation_id == number
    found = read(ann, number)
    [turn] = found.turns
    assert (turn.id, turn.request_id) == (answer.turn_id, answer.request_id)
    assert turn.answer.answer == answer.answer != ""
    assert turn.answer.citations == answer.citations
    assert found.title == QUESTION[:79] + "…"
    assert (found.owner, found.yours) == ("ann", True)
    assert not turn.withheld


def test_a_streamed_answer_is_kept_as_well(ann: httpx.Client) -> None:
    number = begun(ann)
    body = {"question": QUESTION, "conversation_id": number, "stream": True}
    with connect_sse(ann, "POST", "/v1/query", json=body) as source:
        final = models.Answer.model_validate(list(source.iter_sse())[-1].json())
    [turn] = read(ann, number).turns
    assert (final.conversation_id, final.turn_id) == (number, turn.id)


def test_without_a_conversation_nothing_is_kept(ann: httpx.Client) -> None:
    before = ann.get("/v1/conversations").json()
    answer = ann.post("/v1/query", json={"question": QUESTION}).json()
    assert (answer["conversation_id"], answer["turn_id"]) == (None, None)
    assert ann.get("/v1/conversations").json() == before


def test_a_follow_up_is_searched_by_what_the_server_knows_was_said(ann: httpx.Client) -> None:
    number = begun(ann)
    asked(ann, number)
    follow_up = asked(ann, number, "And who approves it?")
    assert "annual leave" in follow_up.searched.query
    assert [turn.answer.searched.query for turn in read(ann, number).turns][-1] == (
        follow_up.searched.query
    )


def test_a_question_has_its_history_from_one_place(ann: httpx.Client) -> None:
    body = {
        "question": QUESTION,
        "conversation_id": begun(ann),
        "history": [{"question": "What?", "answer": "That."}],
    }
    response = ann.post("/v1/query", json=body)
    assert response.status_code == 400
    assert "leave history out" in response.json()["hint"]


def test_a_caller_who_leaves_leaves_no_turn(written: Live, engine: FakeVLLM) -> None:
    with signed_in(written, "ann") as client:
        number = begun(client)
        body = {"question": QUESTION, "conversation_id": number, "stream": True}
        engine.fail("stall")
        try:
            with connect_sse(client, "POST", "/v1/query", json=body) as source:
                events = source.iter_sse()
                assert next(events).event == "searched"
                received = engine.next_request()
            wait_for(received.left.is_set)
        finally:
            engine.heal()
        assert read(client, number).turns == []


def test_an_answer_to_a_conversation_that_has_been_deleted_meanwhile_is_given_unkept(
    server: Live,
) -> None:
    store = server.store
    talk = Talk(store, store.user_number("ann"), store.conversations.create(1).id)
    access = store.access_of_number(talk.owner)
    appliance: Appliance = server.app.state.backing.appliance()

    async def ask() -> Final:
        events: Any = appliance.answer(QUESTION, access, request_id="request-deleted")
        return await collect(keeping(events, talk))

    final = asyncio.run(ask())
    assert final.answer
    assert server.ids["pdf"] in final.read
    assert (final.conversation_id, final.turn_id) == (None, None)


def test_an_answer_is_not_shown_any_more_to_who_may_not_read_what_it_quotes(
    ann: httpx.Client, closing: Closing
) -> None:
    number = begun(ann, "Leave")
    asked(ann, number)

    def told() -> str:
        views = ("", "/export", "/export?format=markdown")
        return "".join(ann.get(f"/v1/conversations/{number}{view}").text for view in views)

    assert all(word in told() for word in WORDS)
    with closing():
        hidden = told()
        [turn] = read(ann, number).turns
    assert not any(word in hidden for word in WORDS)
    assert (turn.withheld, turn.answer.answer, turn.answer.evidence) == (True, "", None)
    assert turn.reason in hidden
    assert all(word in told() for word in WORDS)


def test_who_continues_a_conversation_is_told_nothing_that_is_withheld(
    written: Live, engine: FakeVLLM, closing: Closing
) -> None:
    """Not even by the engine, which reads the conversation."""
    with signed_in(written, "ann") as client:
        number = begun(client)
        assert LEAVE in asked(client, number).answer
        assert f"Answer: {LEAVE}" in said_to(engine, client, number)
        with closing():
            sent = said_to(engine, client, number)
    assert f"User: {QUESTION}" in sent
    assert "28 days" not in sent


def said_to(engine: FakeVLLM, client: httpx.Client, number: int) -> str:
    """All that the engine is sent for the next question."""
    n_before = len(engine.received)
    asked(client, number, "And when does the office in Lisbon open?")
    contents = [
        message["content"]
        for received in engine.received[n_before:]
        for message in received.body["messages"]
    ]
    return "\n".join(contents)


def test_a_copy_that_is_still_right_is_not_sent_again(ann: httpx.Client, closing: Closing) -> None:
    number = begun(ann)
    asked(ann, number)
    path = f"/v1/conversations/{number}"
    tag = ann.get(path).headers["etag"]
    same = ann.get(path, headers={"If-None-Match": f'"other", W/{tag}'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    with closing():
        assert ann.get(path, headers={"If-None-Match": tag}).status_code == 200
    asked(ann, number)
    assert ann.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_a_change_is_made_only_to_what_its_caller_has_read(ann: httpx.Client) -> None:
    number = begun(ann, "First")
    path = f"/v1/conversations/{number}"
    tag = ann.get(path).headers["etag"]
    renamed = ann.patch(path, json={"title": " Second \n title"}, headers={"If-Match": tag})
    assert renamed.json()["title"] == "Second title"
    for change in ({"json": {"title": "Third"}, "method": "PATCH"}, {"method": "DELETE"}):
        refused = ann.request(url=path, headers={"If-Match": tag}, **change)
        assert refused.status_code == 412
        assert refused.json()["type"] == "urn:citadel:problem:precondition-failed"
    assert ann.patch(path, json={"title": "x"}, headers={"If-Match": "nonsense"}).status_code == 400
    assert [ann.patch(path, json={"title": t}).status_code for t in ("", " ", "\0")] == [422] * 3
    assert ann.patch(path, json={"title": "Any"}, headers={"If-Match": "*"}).status_code == 200
    last = ann.patch(path, json={"title": "Last"}).headers["etag"]
    assert ann.delete(path, headers={"If-Match": f'"x", {last}'}).status_code == 204
    assert ann.get(path).status_code == 404


def test_a_list_is_read_by_pages_and_changes_in_between_repeat_nothing(bob: httpx.Client) -> None:
    numbers = [begun(bob, f"Number {n}") for n in range(5)]
    listed: list[int] = []
    page: Json = {"next_cursor": None}
    while not listed or page["next_cursor"]:
        query = {"limit": 2} | ({"cursor": page["next_cursor"]} if listed else {})
        page = bob.get("/v1/conversations", params=query).json()
        listed += [each["id"] for each in page["conversations"]]
        begun(bob, "in between")
    assert listed == numbers[::-1]


def test_turns_are_read_by_pages(ann: httpx.Client, server: Live) -> None:
    number, owner = begun(ann), server.store.user_number("ann")
    for turn in range(5):
        kept = api_samples.kept_answer(server.ids["pdf"], f"request-{turn}")
        server.store.conversations.append(owner, number, kept)
    path = f"/v1/conversations/{number}?limit=3"
    first = ann.get(path).json()
    rest = ann.get(path, params={"cursor": first["next_cursor"], "limit": 3}).json()
    ids = [turn["request_id"] for turn in first["turns"] + rest["turns"]]
    assert ids == [f"request-{turn}" for turn in range(5)]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize("cursor", ["", "x", "WzFd", "e30", "W10", "bnVsbA", "ä", "A" * 300])
def test_what_is_no_cursor_is_refused(ann: httpx.Client, cursor: str) -> None:
    response = ann.get("/v1/conversations", params={"cursor": cursor})
    assert response.status_code in (400, 422)
    assert "cursor" in response.json()["detail"]


def test_a_cursor_of_another_list_or_of_nonsense_numbers_does_no_harm(ann: httpx.Client) -> None:
    with pytest.raises(BadRequest):
        cursors.place("feedback", cursors.cursor("conversations", 1), 1)
    for place in ((2**62, 2**62), (-(2**62), -1)):
        params = {"cursor": cursors.cursor("conversations", *place)}
        assert ann.get("/v1/conversations", params=params).status_code == 200


def test_an_exported_file_is_saved_and_says_where_its_answers_come_from(ann: httpx.Client) -> None:
    number = begun(ann, "Leave *2026*")
    asked(ann, number)
    asked(ann, number, "Which telescope photographed the moons of Neptune?")
    saved = ann.get(f"/v1/conversations/{number}/export?format=markdown")
    name = f'attachment; filename="conversation-{number}.md"'
    assert saved.headers["content-disposition"] == name
    assert saved.headers["content-type"] == "text/markdown; charset=utf-8"
    assert saved.headers["x-content-type-options"] == "nosniff"
    assert saved.headers["content-security-policy"].startswith("sandbox")
    assert saved.text.startswith("# Leave \\*2026\\*\n\n## How many days")
    assert f"{LEAVE} \\[1\\]" in saved.text
    assert "1. Handbook, page 1, \\/srv\\/documents\\/handbook\\.pdf: “" in saved.text
    assert "The documents do not say." in saved.text
    as_json = ann.get(f"/v1/conversations/{number}/export")
    assert as_json.headers["content-disposition"].endswith(f'"conversation-{number}.json"')
    assert as_json.json() == ann.get(f"/v1/conversations/{number}").json()


HOSTILE = (
    "[x](https://evil.example)", "![i](//evil.example/a.png)", "<script>", "<img src=x>",
    "www.a.de", "a@b.de", "&lt;", "$x$", "`", "*", "_", "#", "===", "---", "~~~", "> ", "1. ",
    "- ", "|", "\\", "[", "]", "(", ")", "<", ">", "!", ":", ".", "1", "\n", "\n\n", "    ",
    "\t", "\u202e", "\x00", "word ",
)  # fmt: skip


@given(st.lists(st.sampled_from(HOSTILE), max_size=12))
def test_whatever_was_said_is_plain_text_in_an_exported_file(parts: list[str]) -> None:
    text = "".join(parts)
    allowed = {"paragraph_open", "paragraph_close", "inline"}
    tokens = MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(exports.escaped(text))
    assert {token.type for token in tokens} <= allowed
    inner = {child.type for token in tokens for child in token.children or ()}
    assert inner <= {"text", "softbreak", "text_special"}
    assert not re.search(r"https?://|www\.|\w@\w", exports.escaped(text)), "renderers link these"


def test_feedback_is_given_by_who_asked_and_read_by_admins_without_the_answer(
    ann: httpx.Client, bob: httpx.Client, server: Live
) -> None:
    number = begun(ann)
    answer = asked(ann, number)
    said = {"request_id": answer.request_id, "rating": "up", "comment": "Good."}
    assert ann.put("/v1/feedback", json=said).status_code == 200
    given = ann.put("/v1/feedback", json=said | {"rating": "down", "comment": "Old."}).json()
    assert talk_models.Feedback.model_validate(given).yours
    assert read(ann, number).turns[0].rating == "down"
    assert bob.put("/v1/feedback", json=said).status_code == 404
    assert ann.put("/v1/feedback", json=said | {"rating": "great"}).status_code == 422
    assert ann.get("/v1/feedback").status_code == 403
    with server.client() as operator:
        listed = operator.get("/v1/feedback", params={"limit": 1})
    found = talk_models.FeedbackList.model_validate(listed.json())
    assert (found.feedback[0].user, found.feedback[0].rating) == ("ann", "down")
    assert not found.feedback[0].yours
    assert "annual leave" not in listed.text


@pytest.mark.parametrize("allowed", [False, True])
def test_admins_read_conversations_of_others_only_where_the_setting_says_so(
    ann: httpx.Client, server: Live, settings: Settings, store: Store, allowed: bool
) -> None:
    number = begun(ann)
    asked(ann, number)
    paths = (f"/v1/conversations/{number}", f"/v1/conversations/{number}/export")
    before = store.audit.head().seq
    changed = settings.model_copy(update={"conversations_readable_by_admins": allowed})
    server.app.state.backing.appliance().settings = changed
    try:
        with server.client() as operator, signed_in(server, "bob") as bob:
            found = [operator.get(path) for path in paths]
            listed = operator.get("/v1/conversations?user=ann")
            assert [bob.get(path).status_code for path in paths] == [404, 404]
            assert bob.get("/v1/conversations?user=ann").status_code == 403
            assert bob.get("/v1/conversations?user=nobody").status_code == 403
            assert operator.patch(paths[0], json={"title": "Mine"}).status_code == 404
            assert operator.delete(paths[0]).status_code == 404
            body = {"question": QUESTION, "conversation_id": number}
            assert operator.post("/v1/query", json=body).status_code == 404
    finally:
        server.app.state.backing.appliance().settings = settings
    assert listed.status_code == (200 if allowed else 403)
    for response in found:
        assert response.status_code == (200 if allowed else 404)
        if allowed:
            assert (response.json()["yours"], response.json()["owner"]) == (False, "ann")
    records = store.audit.read(Wanted(after=before, kind="opened"))
    assert [record.detail["what"] for record in records] == (
        ["conversation", "conversation_export", "conversations"] if allowed else []
    )
    assert {record.detail["principal"] for record in records} <= {store.user_number("ann")}


def test_opening_an_own_conversation_is_recorded_where_it_quotes(
    ann: httpx.Client, store: Store
) -> None:
    number, empty = begun(ann), begun(ann)
    cited = {citation.document_id for citation in asked(ann, number).citations}
    before = store.audit.head().seq
    got = ann.get(f"/v1/conversations/{number}")
    assert ann.get(f"/v1/conversations/{empty}").status_code == 200
    known = {"If-None-Match": got.headers["etag"]}
    assert ann.get(f"/v1/conversations/{number}", headers=known).status_code == 304
    assert ann.get(f"/v1/conversations/{number}/export").status_code == 200
    records = store.audit.read(Wanted(after=before, limit=1000))
    assert [(record.kind, record.detail["what"]) for record in records] == [
        ("opened", "conversation"),
        ("opened", "conversation_export"),
    ]
    assert all(cited <= set(record.detail["documents"]) for record in records)


def test_two_users_try_every_number_and_never_see_a_word_of_the_other(
    server: Live, ann: httpx.Client, bob: httpx.Client
) -> None:
    secrets = {"ann": "periwinkle", "bob": "marmalade"}
    clients = {"ann": ann, "bob": bob}
    own = {name: begun(clients[name], secret) for name, secret in secrets.items()}
    requests = {
        name: asked(clients[name], number, f"{secrets[name]}?").request_id
        for name, number in own.items()
    }
    for name, client in clients.items():
        other = "bob" if name == "ann" else "ann"
        told = client.get("/v1/conversations?limit=200").text
        missing = {"get": client.get("/v1/conversations/999999").text}
        for number in range(1, max(own.values()) + 2):
            path = f"/v1/conversations/{number}"
            answers = [client.get(path), client.get(f"{path}/export?format=markdown")]
            if number == own[other]:
                answers += [client.patch(path, json={"title": "Mine"}), client.delete(path)]
                body = {"question": "What was said?", "conversation_id": number}
                answers += [client.post("/v1/query", json=body)]
                said = {"request_id": requests[other], "rating": "up"}
                assert client.put("/v1/feedback", json=said).status_code == 404
                assert {answer.status_code for answer in answers} == {404}
                found = same_words(answers[0].text, number)
                assert found == same_words(missing["get"], 999999)
            told += "".join(answer.text for answer in answers)
        assert secrets[name] in told
        assert secrets[other] not in told
        assert requests[other] not in told


def same_words(problem: str, number: int) -> str:
    """A problem without what differs from request to request."""
    return re.sub(r'"request_id":"[^"]*"', "", problem.replace(str(number), "N"))
