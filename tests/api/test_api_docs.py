"""The API's documentation."""

import re
import shutil
from typing import Any

import httpx
import pytest
from api_live import Live
from playwright.sync_api import sync_playwright

from rag.api.bodies import (
    chat_models,
    credentials,
    examples,
    feeding_models,
    models,
    people_models,
    requests,
    talk_models,
)

METHODS = {"get", "post", "put", "patch", "delete"}
SUCCESS = {"200", "201", "202"}
NO_JSON = {
    "image/png",
    "text/event-stream",
    "text/html",
    "text/markdown",
    "*/*",
    "multipart/form-data",
    "application/openmetrics-text",
}


@pytest.fixture
def openapi(client: httpx.Client) -> dict[str, Any]:
    """The OpenAPI document."""
    document: dict[str, Any] = client.get("/openapi.json").json()
    return document


def operations(openapi: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every operation with its name."""
    return [
        (f"{method.upper()} {path}", operation)
        for path, item in openapi["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def test_every_operation_says_what_it_does(openapi: dict[str, Any]) -> None:
    assert len(operations(openapi)) > 15
    for name, operation in operations(openapi):
        assert " " in operation["summary"], name
        assert operation["description"].startswith(operation["summary"].split(" ")[0]), name
        assert operation["description"], name
        assert operation["tags"], name


def test_every_body_has_an_example(openapi: dict[str, Any]) -> None:
    schemas = openapi["components"]["schemas"]
    for name, operation in operations(openapi):
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        bodies += [
            r for status, r in operation["responses"].items() if status in ("200", "201", "202")
        ]
        for body in bodies:
            if "schema" in body["content"].get("application/json", {}):
                schema = body["content"]["application/json"]["schema"]
                optional = schema.get("anyOf", [schema])  # "or null": the body may be left out
                reference = optional[0]["$ref"]
                assert schemas[reference.rpartition("/")[2]]["examples"], name
            else:
                assert body["content"].keys() & NO_JSON, name


def test_every_failure_is_documented_as_a_problem(openapi: dict[str, Any]) -> None:
    for name, operation in operations(openapi):
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert response["content"].keys() == {"application/problem+json"}, name
        if operation["tags"] != ["about"] or "/v1/" in name:
            assert "401" in operation["responses"], name
    assert "Problem" in openapi["components"]["schemas"]
    assert "HTTPValidationError" not in openapi["components"]["schemas"]


def test_every_reference_points_at_something(openapi: dict[str, Any], client: httpx.Client) -> None:
    references = set(re.findall(r'"#/components/schemas/(\w+)"', client.get("/openapi.json").text))
    assert references
    assert references <= openapi["components"]["schemas"].keys()


def test_credentials_are_documented(openapi: dict[str, Any]) -> None:
    assert openapi["components"]["securitySchemes"].keys() == {"token", "session"}
    assert openapi["security"] == [{"token": []}, {"session": []}]


@pytest.mark.parametrize(
    ("model", "example"),
    [
        (requests.SearchRequest, examples.SEARCH),
        (models.SearchResponse, examples.SEARCH_RESULT),
        (requests.QueryRequest, examples.QUERY),
        (models.Answer, examples.ANSWER),
        (chat_models.ChatRequest, examples.CHAT),
        (chat_models.ChatCompletion, examples.CHAT_COMPLETION),
        (chat_models.ModelList, examples.MODELS),
        (models.DocumentList, examples.DOCUMENT_LIST),
        (models.DocumentDetail, examples.DOCUMENT_DETAIL),
        (feeding_models.RunRequest, feeding_models.RUN_REQUEST),
        (feeding_models.RunList, feeding_models.RUNS),
        (feeding_models.Uploaded, feeding_models.UPLOADED),
        (feeding_models.Deleted, feeding_models.DELETED),
        (people_models.User, people_models.USER),
        (people_models.Group, people_models.GROUP),
        (people_models.GrantRequest, people_models.GRANT),
        (people_models.LimitRequest, people_models.LIMIT),
        (people_models.SettingList, people_models.SETTINGS),
        (models.Text, examples.TEXT),
        (models.Passage, examples.PASSAGE),
        (models.PageList, examples.PAGES),
        (models.CollectionList, examples.COLLECTIONS),
        (models.FailureList, examples.FAILURES),
        (models.Status, examples.STATUS),
        (models.LoginLink, examples.LOGIN_LINK),
        (credentials.Me, credentials.ME),
        (credentials.Session, credentials.SESSION),
        (credentials.Key, credentials.KEY),
        (credentials.MadeKey, credentials.MADE_KEY),
        (credentials.NewKey, credentials.NEW_KEY),
        (credentials.NewPassword, credentials.PASSWORD),
        (models.Health, examples.HEALTH),
        (models.Readiness, examples.READINESS),
        (models.Problem, examples.PROBLEM),
        (talk_models.Conversation, talk_models.CONVERSATION),
        (talk_models.ConversationList, talk_models.CONVERSATIONS),
        (talk_models.ConversationRead, talk_models.READ),
        (talk_models.FeedbackRequest, talk_models.FEEDBACK),
        (talk_models.Feedback, talk_models.GIVEN),
        (talk_models.FeedbackList, talk_models.FEEDBACKS),
    ],
)
def test_examples_are_what_the_models_say(model: Any, example: examples.Example) -> None:
    model.model_validate(example)


def test_the_documentation_page_names_no_other_host(client: httpx.Client) -> None:
    response = client.get("/docs")
    assert response.headers["content-type"].startswith("text/html")
    assert re.findall(r"https?://[^\"'\s]+", response.text) == []
    assert "default-src 'none'" in response.headers["content-security-policy"]
    for link in re.findall(r'(?:src|href)="([^"]+)"', response.text):
        assert client.get(link).status_code == 200, link


def test_only_files_of_the_documentation_are_served(client: httpx.Client) -> None:
    for name in ("redoc.standalone.js", "..%2fcore.py", "core.py", "%2e%2e"):
        assert client.get(f"/docs/{name}").status_code == 404
    assert client.get("/redoc").status_code == 404


@pytest.mark.browser
def test_a_browser_shows_every_operation_and_asks_nobody_else(
    live: Live, openapi: dict[str, Any]
) -> None:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("Chromium is missing: apt-get install chromium")
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{live.url}/docs")
        page.locator(".opblock").first.wait_for(timeout=30_000)
        shown = page.locator(".opblock").count()
        browser.close()
    assert shown == len(operations(openapi))
    assert all(url.startswith((live.url, "data:")) for url in asked)
