"""`rag.client` against the API's own document, operation by operation, and against the API.

One server answers every operation with the example that the document gives of its answer. Each
method of the client is called against it: the request has to be one that the document describes,
and the record has to have what stood in the example.
"""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import GeneratorType, MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import jsonschema
import msgspec
import pytest
from api_live import TOKEN, Live
from canned_api import Answer, Canned, canned_api

from rag.api.bodies import examples
from rag.client import Asked, Client
from rag.client.audit import Sought
from rag.client.documents import Filter
from rag.client.transport import Tagged

JSON, SSE = "application/json", "text/event-stream"
METHODS = {"get", "post", "put", "patch", "delete"}
OTHERS = {  # operations that other people's clients ask for, or browsers
    "get_metrics",
    "complete_chat",
    "list_models",
    "get_model",
    "log_in",
}
LEFT_OUT = {"attachments", "right"}  # in a list of documents
LEFT_OUT |= {
    "timings_ms",
    "turn_id",
    "n_documents",
    "n_hits",
    "unnamed",
}  # of an answer that was kept
WHEN = datetime(2026, 3, 2, tzinfo=UTC)
EVERYTHING = Filter("Hand", ("hr", "it"), "application/pdf", "en", WHEN, WHEN, "/srv")


class Call(NamedTuple):
    """A method of the client with arguments, and the operation that it is to ask for."""

    operation: str
    arguments: tuple[Any, ...] = ()
    named: Mapping[str, Any] = MappingProxyType({})


CALLS = {
    "ask": Call("query", (Asked("How long?", depth="quick", conversation_id=3),)),
    "status": Call("get_status"),
    "failures": Call("list_failures"),
    "search.find": Call("search", ("leave",), {"k": 3, "collections": ("hr",)}),
    "documents.list": Call("list_documents", (EVERYTHING,), {"cursor": "7", "limit": 5}),
    "documents.every": Call("list_documents"),
    "documents.read": Call("get_document", (7,)),
    "documents.read_tagged": Call("get_document", (7,)),
    "documents.text": Call("get_text", (7, 10, 20)),
    "documents.passage": Call("get_passage", (7, 10, 20)),
    "documents.pages": Call("list_pages", (7,)),
    "documents.page_image": Call("get_page_image", (7, 2, (10, 20), 900)),
    "documents.original": Call("get_original", (7,)),
    "documents.delete": Call("delete_document", (7,)),
    "uploads.add": Call("upload_document", ("hr", "a.txt", b"text")),
    "uploads.delete": Call("delete_document", (7,)),
    "runs.start": Call("start_run", ("hr", "/srv/documents")),
    "runs.list": Call("list_runs", (), {"cursor": "7", "limit": 5}),
    "runs.every": Call("list_runs"),
    "runs.read": Call("get_run", (12,)),
    "runs.watch": Call("watch_run", (12,)),
    "runs.cancel": Call("cancel_run", (12,)),
    "conversations.create": Call("create_conversation", ("Leave",)),
    "conversations.list": Call("list_conversations", (), {"cursor": "abc", "limit": 5}),
    "conversations.every": Call("list_conversations"),
    "conversations.read": Call("get_conversation", (3,), {"cursor": "abc"}),
    "conversations.read_tagged": Call("get_conversation", (3,)),
    "conversations.rename": Call("rename_conversation", (3, "Leave"), {"if_match": '"1"'}),
    "conversations.delete": Call("delete_conversation", (3,), {"if_match": '"1"'}),
    "conversations.export": Call("export_conversation", (3, "markdown")),
    "feedback.give": Call("give_feedback", ("5f1c7a90b2d3", "up", "good")),
    "feedback.list": Call("list_feedback", (), {"cursor": "abc", "limit": 5}),
    "feedback.every": Call("list_feedback"),
    "account.me": Call("get_me"),
    "account.set_password": Call("set_password", ("a sentence is good", "an earlier one")),
    "account.sessions": Call("list_sessions"),
    "account.end_session": Call("end_session", (12,)),
    "account.sign_out": Call("sign_out"),
    "keys.list": Call("list_keys", ("ann",), {"everyone": True}),
    "keys.make": Call("make_key", ("intranet", ["search"]), {"user": "ann", "valid_days": 30}),
    "keys.revoke": Call("revoke_key", (3,)),
    "collections.list": Call("list_collections"),
    "collections.create": Call("make_collection", ("hr",)),
    "collections.delete": Call("remove_collection", ("hr/old",), {"force": True}),
    "access.grants": Call("list_grants", ("hr", "it")),
    "access.grant": Call("put_grant", ("hr", "group:hr")),
    "access.revoke": Call("delete_grant", ("hr", "group:hr")),
    "access.limits": Call("list_limits", ("hr",)),
    "access.limit": Call("put_limit", ("hr", "/srv", ["user:ann"])),
    "access.unlimit": Call("delete_limit", ("hr", "/srv")),
    "people.users": Call("list_users"),
    "people.user": Call("get_user", ("ann",)),
    "people.add_user": Call("add_user", ("ann",)),
    "people.set_disabled": Call("change_user", ("ann", True)),
    "people.remove_user": Call("remove_user", ("ann",)),
    "people.give_role": Call("give_role", ("ann", "auditor")),
    "people.take_role": Call("take_role", ("ann", "auditor")),
    "people.login_link": Call("make_login_link", ("ann",)),
    "people.groups": Call("list_groups"),
    "people.group": Call("get_group", ("hr",)),
    "people.add_group": Call("add_group", ("hr",)),
    "people.remove_group": Call("remove_group", ("hr",)),
    "people.join": Call("join_group", ("hr", "ann")),
    "people.leave": Call("leave_group", ("hr", "ann")),
    "audit.list": Call("list_audit", (Sought("opened", "ann", WHEN),), {"cursor": "7", "limit": 5}),
    "audit.every": Call("list_audit"),
    "settings.list": Call("list_settings"),
    "health.alive": Call("is_alive"),
    "health.ready": Call("is_ready"),
}


class Operation(NamedTuple):
    """An operation of the document, and where it is."""

    method: str
    path: str
    said: dict[str, Any]

    def parameters(self, place: str) -> dict[str, Any]:
        found = (each for each in self.said.get("parameters", ()) if each["in"] == place)
        return {each["name"].lower(): each for each in found}


class Document:
    """The API's own document, to look things up in."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.components = document["components"]
        self.operations = {
            said["operationId"]: Operation(method.upper(), path, said)
            for path, item in document["paths"].items()
            for method, said in item.items()
            if method in METHODS
        }

    def answer(self, operation: Operation) -> tuple[Answer, Any]:
        """What a server answers that keeps to the document, and the example in it, if any."""
        status, response = next(
            (int(code), each) for code, each in operation.said["responses"].items() if code < "300"
        )
        content = response.get("content", {})
        if JSON not in content:
            kind = next(iter(content), JSON)
            return (status, kind, b"" if status == 204 else b"a file"), None
        name = content[JSON]["schema"]["$ref"].rpartition("/")[2]
        example = self.components["schemas"][name]["examples"][0]
        if "next_cursor" in example:  # of the last page, so that an iterator ends
            example = example | {"next_cursor": None}
        return (status, JSON, json.dumps(example).encode()), example

    def fits(self, schema: dict[str, Any], value: Any) -> None:
        """Raises where the value is none of the schema."""
        whole = schema | {"components": self.components}
        jsonschema.Draft202012Validator(whole).validate(value)


@pytest.fixture(scope="module")
def document(live: Live) -> Document:
    with live.client(headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        return Document(client.get("/openapi.json").json())


@pytest.fixture(scope="module")
def api() -> Iterator[Canned]:
    with canned_api({}) as canned:
        yield canned


def called(client: Client, name: str) -> Any:
    """What a method gives; all of it, where it is an iterator."""
    method: Any = client
    for part in name.split("."):
        method = getattr(method, part)
    result = method(*CALLS[name].arguments, **CALLS[name].named)
    return list(result) if isinstance(result, GeneratorType) else result


def methods() -> set[str]:
    """Every public method of the client and its subjects."""
    with Client("http://127.0.0.1:1", key="k") as client:
        subjects = {name: each for name, each in vars(client).items() if not name.startswith("_")}
        found = {f"{name}.{each}" for name in subjects for each in _public(subjects[name])}
        return (found | set(_public(client))) - {"close"}


def _public(thing: object) -> list[str]:
    found = inspect.getmembers(type(thing), inspect.isfunction)
    return [name for name, _ in found if not name.startswith("_")]


def test_every_operation_has_a_method_and_every_method_an_operation(document: Document) -> None:
    assert methods() == CALLS.keys()
    assert {call.operation for call in CALLS.values()} == document.operations.keys() - OTHERS
    assert document.operations.keys() >= OTHERS


@pytest.mark.parametrize("name", CALLS)
def test_a_method_asks_as_documented_and_gives_what_is_answered(
    document: Document, api: Canned, name: str
) -> None:
    operation = document.operations[CALLS[name].operation]
    answer, example = document.answer(operation)
    if operation.said["operationId"] in {"query", "watch_run"}:
        answer, example = _streamed(document, operation)
    api.seen.clear()
    api.routes = _Always(answer)
    with Client(api.url, key="k", attempts=1) as client:
        given = called(client, name)
    [(request, headers, body)] = api.seen
    _was_asked_as_documented(document, operation, request, headers, body)
    if isinstance(given, bytes):
        assert given == answer[2]
    elif example is not None:
        _has_what_was_answered(given, example)


def _streamed(document: Document, operation: Operation) -> tuple[Answer, Any]:
    name, shape = {"query": ("final", "Answer"), "watch_run": ("run", "Run")}[
        operation.said["operationId"]
    ]
    example = document.components["schemas"][shape]["examples"][0]
    return (200, SSE, f"event: {name}\ndata: {json.dumps(example)}\n\n".encode()), [example]


class _Always(dict[str, Answer]):
    """The same answer at every address."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def get(self, route: str, default: Any = None) -> Any:
        return self.answer


def _was_asked_as_documented(
    document: Document, operation: Operation, request: str, headers: dict[str, str], body: bytes
) -> None:
    method, _, target = request.partition(" ")
    url = urlsplit(target)
    place = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(operation.path))
    assert method == operation.method
    assert re.fullmatch(place, url.path), (operation.path, url.path)
    known = operation.parameters("query")
    asked = parse_qs(url.query, keep_blank_values=True)
    assert asked.keys() <= known.keys()
    assert {name for name, each in known.items() if each["required"]} <= asked.keys()
    takes = {name.lower() for name in operation.parameters("header")}
    sent = {name.lower() for name in headers} & {"idempotency-key", "if-match", "if-none-match"}
    assert sent <= takes
    assert ("idempotency-key" in sent) == ("idempotency-key" in takes), "a write is done once"
    if headers.get("Content-Type", "") == JSON and body != b"null":
        schema = operation.said["requestBody"]["content"][JSON]["schema"]
        document.fits(schema, json.loads(body))


def _has_what_was_answered(given: Any, example: Any) -> None:
    """Each field of a record is in the example, and is the same."""
    if given is None:
        return
    if isinstance(given, Tagged):
        given = given.value
    plain = msgspec.to_builtins(given)
    if isinstance(example, dict) and not isinstance(plain, dict):
        # A method that gives the one thing that is in the answer: the list, the name, `done`.
        plain = list(plain) if isinstance(plain, tuple) else plain
        example = next(each for each in example.values() if type(each) is type(plain))
    _same(plain, example)


def _same(given: Any, example: Any) -> None:
    if isinstance(given, dict) and isinstance(example, dict):
        assert given.keys() - example.keys() <= LEFT_OUT, "fields that the API does not have"
        for name in given.keys() & example.keys():
            _same(given[name], example[name])
    elif isinstance(given, list | tuple) and isinstance(example, list):
        assert len(given) == len(example)
        for each, expected in zip(given, example, strict=True):
            _same(each, expected)
    elif isinstance(example, str) and re.match(r"\d{4}-\d\d-\d\dT", example):
        assert datetime.fromisoformat(given) == datetime.fromisoformat(example)
    else:
        assert given == example


def test_a_list_is_followed_to_its_last_page_and_nothing_is_asked_for_twice(api: Canned) -> None:
    pages = {"": ([1, 2], "2"), "2": ([3], None)}

    class Paged(dict[str, Answer]):
        def get(self, route: str, default: Any = None) -> Any:
            [cursor] = parse_qs(urlsplit(api.seen[-1][0]).query).get("cursor", [""])
            ids, following = pages[cursor]
            found = [examples.DOCUMENT | {"id": each} for each in ids]
            body = {"documents": found, "next_cursor": following, "total": 3}
            return 200, JSON, json.dumps(body).encode()

    api.seen.clear()
    api.routes = Paged()
    with Client(api.url, key="k") as client:
        assert [each.id for each in client.documents.every()] == [1, 2, 3]
    assert len(api.seen) == 2
