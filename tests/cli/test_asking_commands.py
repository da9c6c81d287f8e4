from commands import Citadel

HIT = {
    "rank",
    "score",
    "document_id",
    "chunk_id",
    "title",
    "source_uri",
    "page_start",
    "page_end",
    "heading_path",
    "char_start",
    "char_end",
    "text",
}


def test_ask_prints_quotes_with_numbered_sources(filled: Citadel) -> None:
    run = filled("ask", "How much may a hotel in London cost?")

    assert run.code == 0
    answer, sources = run.out.split("\n\nSources\n")
    assert "180 pounds a night. [1]" in answer
    assert sources.startswith("[1] Travel policy\n")
    assert "travel.md" in sources


def test_ask_prints_one_object_whose_citations_are_verbatim(filled: Citadel) -> None:
    run = filled("ask", "How much may a hotel in London cost?", "--json")

    assert run.code == 0
    keys = {"status", "answer", "citations", "engine", "timings_ms", "request_id"}
    assert keys <= run.json.keys()
    assert run.json["status"] == "answered"
    for citation in run.json["citations"]:
        at = slice(citation["answer_start"], citation["answer_end"])
        assert run.json["answer"][at] == citation["cited_text"]
        assert citation["verified"] is True


def test_what_the_documents_do_not_answer_is_said_with_what_was_searched(filled: Citadel) -> None:
    question = "Which insurance covers the chairman's racehorse?"

    text, value = filled("ask", question), filled("ask", question, "--json")

    assert (text.code, value.code) == (0, 0)
    assert text.out.startswith("Not in the documents.\n\nSearched 3 documents in default for: ")
    assert value.json["status"] == "no_evidence"
    assert value.json["citations"] == [] and value.json["answer"] == ""
    assert value.json["searched"]["n_documents"] == 3
    assert value.json["searched"]["unnamed"] == []
    assert "mentions" not in text.out


def test_a_name_that_nothing_mentions_is_said(filled: Citadel) -> None:
    text = filled("ask", "What may a hotel in Wellington cost?")
    assert text.out.startswith("Not in the documents.")
    assert "\nNothing that was found mentions Wellington\n" in text.out
    asked = ("ask", "What may a hotel in Wellington cost?")
    shown = filled(*asked, CITADEL_ANSWER_THRESHOLD="0")
    assert shown.out.startswith("Note: Nothing that was found mentions Wellington.\n\n")


def test_search_prints_one_object_of_the_documented_shape(filled: Citadel) -> None:
    run = filled("search", "canteen opens", "-k", "2", "--json")

    assert run.code == 0
    assert run.json.keys() == {"query", "hits", "timings_ms"}
    assert run.json["query"] == "canteen opens"
    assert [hit["rank"] for hit in run.json["hits"]] == list(range(1, 1 + len(run.json["hits"])))
    assert 1 <= len(run.json["hits"]) <= 2
    assert all(hit.keys() == HIT for hit in run.json["hits"])
    assert run.json["hits"][0]["text"] == "The canteen opens at half past eleven."


def test_search_prints_passages_for_a_person(filled: Citadel) -> None:
    run = filled("search", "second class trains")

    assert run.code == 0
    assert run.out.startswith("1. Travel policy")
    assert "Trains" in run.out


def test_an_unknown_collection_is_wrong_usage(filled: Citadel) -> None:
    run = filled("ask", "anything", "--collection", "board")

    assert (run.code, run.out) == (2, "")
    assert run.err.splitlines()[-2:] == [
        "citadel: there is no collection 'board'",
        "hint: There are: default.",
    ]


def test_an_empty_store_answers_that_nothing_is_there(citadel: Citadel) -> None:
    assert citadel("ask", "anything?").out.startswith("Not in the documents.")
    assert citadel("search", "anything").out == "Nothing found.\n"
    assert "citadel ingest" in citadel("status").out
