"""What went wrong in other products of this kind, and the tests that it does not here.

Each row is a failure that was published, in our own words; the tests are those that fail where it
comes back. That they exist and run with the others is checked here, so that no row goes stale.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS: dict[str, tuple[str, ...]] = {
    "one way of retrieving did not ask who may read (Open WebUI, CVE-2026-45398)": (
        "api/test_security_access.py::test_no_interface_passes_over_who_may_read",
        "api/test_api_mcp.py::test_a_user_finds_what_is_granted_and_nothing_else",
        "api/test_api_openai.py::test_a_user_is_answered_from_what_is_granted",
    ),
    "another's file was named in a request and read through it (Open WebUI, CVE-2026-45402)": (
        "api/test_security_access.py::"
        "test_what_is_anothers_is_what_is_not_there_whoever_names_it_wherever",
        "api/test_security_access.py::test_names_inside_of_other_protocols_are_checked_too",
        "api/test_api_conversations.py::"
        "test_two_users_try_every_number_and_never_see_a_word_of_the_other",
        "api/test_api_idempotency.py::test_a_key_is_its_callers_own",
    ),
    "routes asked for no sign-in, or not whose they were (RAGFlow 14618, 15027, 14763)": (
        "api/test_api_access.py::test_every_route_has_a_row_in_the_table",
        "api/test_api_access.py::test_everyone_else_is_shut_out",
        "api/test_api_keys.py::test_every_route_says_which_keys_it_takes",
        "api/test_api_keys.py::test_a_key_may_be_used_for_its_scope_and_for_nothing_else",
        "api/test_api_people.py::test_every_route_answers_every_user_as_it_should",
    ),
    "filters of a request led out of what it was for (Onyx, 10602)": (
        "api/test_security_access.py::test_a_filter_in_a_request_takes_away_and_never_adds",
        "api/test_api_uploads.py::test_the_list_is_narrowed_and_never_widened",
    ),
    "no list of principals meant no restriction (Onyx)": (
        "api/test_security_access.py::test_who_has_no_grant_at_all_sees_nothing",
        "api/test_security_access.py::test_who_is_gone_before_the_access_is_asked_for_sees_nothing",
        "store/test_store_documents.py::test_no_reader_has_a_default_access",
    ),
    "the index dropped the filter, and nobody looked again (Open WebUI 0.11.1)": (
        "api/test_security_access.py::test_what_an_index_should_not_have_found_does_not_leave",
        "search/test_access_worlds.py::"
        "test_in_no_world_does_anyone_find_more_or_less_than_may_be_read",
        "search/test_retrieve.py::test_a_hit_that_goes_away_while_it_is_searched_does_not_leave",
    ),
    "the server fetched what a document named (RAGFlow 15438)": (
        "api/test_security_content.py::test_nothing_that_a_document_names_is_ever_fetched",
        "ingest/test_sandbox.py::test_no_connection_can_be_opened_not_even_to_loopback",
        "ingest/test_bombs.py::test_xml_entities_are_neither_expanded_nor_fetched",
    ),
    "script ran from documents and citations (RAGFlow 13202, CVE-2026-109288, -109291)": (
        "api/test_security_content.py::test_an_answer_has_no_markup_and_no_link_of_a_documents",
        "api/test_security_content.py::"
        "test_an_exported_conversation_has_no_markup_and_no_link_of_a_documents",
        "api/test_security_content.py::test_whatever_leaves_says_what_it_is_and_is_not_run",
        "browser/test_page_answers.py::test_hostile_document_is_shown_and_does_nothing",
        "browser/test_page_answers.py::test_hostile_answer_is_shown_and_does_nothing",
    ),
    "an answer sent out what it had read, by a picture's address (EchoLeak, CVE-2025-32711)": (
        "api/test_security_answers.py::test_nothing_that_an_engine_writes_leads_out_of_the_building",
        "answer/test_untrusted.py::test_no_renderer_makes_markup_of_what_is_left_and_twice_is_once",
        "ui/test_written_lines.py::test_nothing_of_an_engines_text_becomes_markup",
    ),
    "a name led to other files (AnythingLLM, CVE-2024-5211, CVE-2024-3025, CVE-2026-24478)": (
        "api/test_security_content.py::test_an_uploads_name_is_a_label_and_no_path",
        "api/test_security_content.py::test_no_address_leads_to_a_file_of_the_servers",
        "api/test_api_runs.py::test_only_what_lies_below_the_named_folders_is_ingested",
    ),
    "an archive wrote elsewhere, or without end (RAGFlow 12527, GHSA-rh66-4w74-cf4m)": (
        "api/test_security_content.py::test_archives_that_are_traps_are_refused_with_a_reason",
        "api/test_security_content.py::test_what_is_packed_without_end_is_read_to_a_bounded_depth",
        "ingest/test_bombs.py::test_zip_that_holds_a_link_is_refused",
        "ingest/test_bombs.py::test_zip_that_unpacks_to_more_than_a_gigabyte_is_refused",
    ),
    "what was loaded as data was a program (LangChain CVE-2024-5998, RAGFlow 14803)": (
        "api/test_security_content.py::test_a_pickle_that_is_ingested_is_not_opened",
        "api/test_security_content.py::test_nothing_in_the_product_can_unpickle",
    ),
    "one token could be made out of another (RAGFlow, CVE-2025-69286)": (
        "api/test_security_tokens.py::test_a_token_is_good_for_its_one_purpose",
        "api/test_security_tokens.py::test_no_token_is_made_out_of_another",
        "api/test_security_tokens.py::test_of_a_token_only_its_hash_is_kept",
        "api/test_security_tokens.py::test_tokens_come_from_the_systems_randomness",
        "api/test_security_tokens.py::test_secrets_are_their_owners_alone_to_read",
    ),
    "a suspended user's key went on working (AnythingLLM, CVE-2026-32717)": (
        "api/test_security_tokens.py::test_what_a_suspended_user_holds_is_refused_by_every_route",
        "api/test_security_tokens.py::"
        "test_a_suspended_user_comes_in_by_no_link_no_form_and_nobody_who_acts_for_them",
        "api/test_api_keys.py::test_what_has_ended_opens_nothing",
    ),
    "deleted files went on being cited (ragflow 9883, open-webui 26438, anything-llm 3958)": (
        "api/test_security_deletion.py::"
        "test_a_deleted_document_is_gone_at_the_next_request_everywhere",
        "api/test_security_deletion.py::"
        "test_a_deletion_that_was_acknowledged_outlives_a_server_that_is_killed",
        "api/test_security_deletion.py::"
        "test_a_file_that_is_removed_is_gone_when_the_command_has_said_so",
    ),
    "an empty upload became somebody else's file (anything-llm 4601)": (
        "api/test_security_deletion.py::test_a_file_that_is_empty_is_not_taken_for_anothers",
        "api/test_security_deletion.py::test_no_number_is_given_twice",
        "api/test_security_deletion.py::test_every_table_that_gives_numbers_remembers_the_highest",
        "api/test_security_deletion.py::"
        "test_who_comes_by_a_name_that_was_another_s_inherits_nothing",
        "api/test_security_deletion.py::"
        "test_a_collection_of_an_old_name_opens_to_nobody_who_could_read_the_old_one",
        "api/test_api_uploads.py::test_content_that_the_sender_may_not_read_is_not_betrayed",
    ),
    # What else is known to go wrong
    "a document told the model what to do (OWASP LLM01, LLM08)": (
        "answer/test_prompts.py::test_nobody_but_us_writes_control_tokens_or_the_mark",
        "ingest/test_injection.py::test_an_instruction_to_a_model_is_found",
        "ingest/test_hidden.py::test_words_that_nobody_sees_on_a_page_are_left_out",
    ),
    "one caller took everything (OWASP LLM10)": (
        "api/test_api_quotas.py::test_a_request_too_many_is_refused_with_the_time_to_wait",
        "api/test_api_problems.py::test_a_large_body_that_does_not_say_its_size_is_refused",
    ),
    "index files are read by native code, which trusts them": (
        "api/test_security_deletion.py::test_a_snapshot_that_was_tampered_with_is_not_even_opened",
        "search/test_index_snapshots.py::test_a_damaged_snapshot_is_never_trusted_and_never_fatal",
    ),
    "an acknowledged write was lost with the power": (
        "store/test_store_open.py::test_sqlite_is_durable_and_checks_references",
    ),
    "the page's framework keeps its own sign-ins": (
        "api/test_security_tokens.py::test_a_cookie_of_the_pages_framework_signs_nobody_in",
        "api/test_security_tokens.py::test_the_page_asks_the_api_who_somebody_is",
        "browser/test_page_states.py::test_forged_session_is_a_stranger_s",
    ),
    "the time to an answer told what others had asked": (
        "api/test_security_answers.py::"
        "test_the_engines_cache_is_shared_only_by_those_who_may_read_the_same",
        "answer/test_written.py::"
        "test_callers_who_may_read_different_things_share_no_cache_and_no_keys",
    ),
}
ELSEWHERE = {"slow", "long", "crash", "vllm", "skip"}  # marks of what `make test` leaves out


@pytest.mark.parametrize("row", ROWS)
def test_every_row_has_tests_that_run(row: str) -> None:
    """Row: all of them."""
    for name in ROWS[row]:
        file, _, test = name.partition("::")
        found = defined(ROOT / "tests" / file)
        assert test in found, f"{name} is no test any more"
        assert not found[test] & ELSEWHERE, f"`make test` leaves {name} out"


def test_every_test_of_the_rows_is_in_a_row() -> None:
    """Row: all of them."""
    named = {name for names in ROWS.values() for name in names}
    for path in sorted(Path(__file__).parent.glob("test_security_*.py")):
        if path != Path(__file__):
            tests = {f"api/{path.name}::{test}" for test in defined(path)}
            assert tests <= named, tests - named


def defined(path: Path) -> dict[str, set[str]]:
    """The tests of a module with the names of their marks and the module's."""
    tree = ast.parse(path.read_text())
    whole = {node.attr for each in assigned(tree) for node in ast.walk(each) if is_mark(node)}
    return {
        node.name: whole | {n.attr for d in node.decorator_list for n in ast.walk(d) if is_mark(n)}
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def assigned(tree: ast.Module) -> list[ast.stmt]:
    """Where a module marks all of its tests."""
    assignments = [node for node in tree.body if isinstance(node, ast.Assign)]
    return [node for node in assignments if ast.unparse(node.targets[0]) == "pytestmark"]


def is_mark(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pytest.mark"
