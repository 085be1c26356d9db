"""Every row of a file is either read or named with what is wrong with it."""

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenants.datasets.formats.detection import open_rows
from tenants.datasets.formats.lines import lines
from tenants.datasets.formats.rows import Finding, Problem, Row

CHAT = {"messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]}


def read(content: bytes | str, filename: str = "data.jsonl") -> tuple[str, list[Finding]]:
    raw = content.encode() if isinstance(content, str) else content
    form, findings = open_rows(io.BytesIO(raw), filename)
    return form, list(findings)


def jsonl(*rows: Any) -> str:
    return "\n".join(json.dumps(row) for row in rows)


def problem_of(row: Any) -> Problem:
    _, findings = read(jsonl(CHAT, row))
    assert isinstance(findings[0], Row)
    assert isinstance(findings[1], Problem)
    assert findings[1].row == 2
    return findings[1]


def test_chat_rows_are_read() -> None:
    form, [row] = read(jsonl(CHAT))
    assert form == "chat"
    assert isinstance(row, Row)
    assert [(m.role, m.content) for m in row.messages] == [("user", "2+2?"), ("assistant", "4")]


def test_prompt_and_completion_become_a_question_and_an_answer() -> None:
    form, [row] = read(jsonl({"prompt": "2+2?", "completion": "4"}))
    assert form == "prompt_completion"
    assert isinstance(row, Row)
    assert row.canonical() == json.dumps(CHAT, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize(
    "header", ["prompt,completion", "Question,Answer", "input,output", "\ufeffuser,assistant"]
)
def test_a_table_is_read_by_its_header(header: str) -> None:
    form, findings = read(f'{header}\r\n"2+2?\nOr not?",4\r\n', "data.csv")
    assert form == "csv"
    [row] = findings
    assert isinstance(row, Row)
    assert [m.content for m in row.messages] == ["2+2?\nOr not?", "4"]


def test_a_tables_instructions_come_first() -> None:
    _, [row] = read("system,prompt,completion\nBe brief.,2+2?,4\n", "data.csv")
    assert isinstance(row, Row)
    assert [m.role for m in row.messages] == ["system", "user", "assistant"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("colour,size\nred,1\n", "columns_not_recognised"),
        ("prompt,completion,notes\na,b,c\n", "unknown_column"),
        ("prompt,completion\na\n", "wrong_cell_count"),
        ("prompt,completion\na,\n", "empty_text"),
        ('prompt,completion\n"a,b\n', "invalid_csv"),
        (b"prompt,completion\n\xff\xfe,b\n", "not_utf8"),
        ("", "columns_not_recognised"),
    ],
)
def test_a_table_that_cannot_be_read_says_why(content: bytes | str, code: str) -> None:
    _, findings = read(content, "data.csv")
    assert [f.code for f in findings if isinstance(f, Problem)] == [code]


@pytest.mark.parametrize(
    ("row", "code", "column"),
    [
        ({"messages": []}, "missing_messages", "messages"),
        ({"messages": "hello"}, "missing_messages", "messages"),
        ({"text": "hello"}, "unknown_key", "text"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "nothing_to_train", "messages"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "unknown_role", "messages[0].role"),
        ({"messages": [{"role": "assistant", "content": 4}]}, "not_text", "messages[0].content"),
        ({"messages": [{"role": "assistant", "content": " "}]}, "empty_text", "messages[0].content"),
        ({"messages": [{"role": "assistant", "content": "a\0b"}]}, "nul_character", "messages[0].content"),
        (
            {"messages": [{"role": "assistant", "content": "\ud800"}]},
            "broken_character",
            "messages[0].content",
        ),
        (
            {"messages": [{"role": "assistant", "content": "a", "weight": 2}]},
            "invalid_weight",
            "messages[0].weight",
        ),
        (
            {"messages": [{"role": "user", "content": "a", "weight": 1}]},
            "invalid_weight",
            "messages[0].weight",
        ),
        ({"messages": [{"role": "assistant", "content": "a", "weight": 0}]}, "nothing_to_train", "messages"),
        (
            {"messages": [{"role": "assistant", "content": "a", "tool_calls": []}]},
            "unknown_key",
            "messages[0]",
        ),
        ({"messages": ["hi"]}, "not_an_object", "messages[0]"),
        (["hi"], "not_an_object", None),
    ],
)
def test_a_row_that_cannot_be_used_says_why_and_where(row: Any, code: str, column: str | None) -> None:
    problem = problem_of(row)
    assert (problem.code, problem.column) == (code, column)


def test_a_file_that_is_not_json_lines_has_a_problem_on_every_row() -> None:
    _, findings = read("Dear diary,\ntoday nothing happened.\n")
    assert [(f.row, f.code) for f in findings if isinstance(f, Problem)] == [
        (1, "invalid_json"),
        (2, "invalid_json"),
    ]


def test_bytes_that_are_no_text_are_named() -> None:
    _, [finding] = read(b'{"messages": "\xff"}\n')
    assert isinstance(finding, Problem)
    assert finding.code == "not_utf8"


def test_nesting_without_end_is_a_problem_and_no_crash() -> None:
    _, [finding] = read("[" * 200_000)
    assert isinstance(finding, Problem)
    assert finding.code == "invalid_json"


def test_problems_never_quote_what_the_row_says() -> None:
    problem = problem_of({"messages": [{"role": "assistant", "content": "", "weight": "my secret"}]})
    assert "secret" not in problem.message


def test_a_line_without_end_is_skipped_in_constant_memory() -> None:
    class Endless:
        left = 60

        def read(self, size: int, /) -> bytes:
            self.left -= 1
            return b"x" * size if self.left > 0 else b"\n{}\n" if self.left == 0 else b""

    [(first, too_long), (second, good)] = list(lines(Endless()))
    assert isinstance(too_long, Problem)
    assert (first, too_long.code) == (1, "line_too_long")
    assert (second, good) == (2, b"{}")


@settings(max_examples=50)
@given(
    st.lists(st.text(alphabet=st.characters(exclude_characters="\n\r\ufeff", codec="utf-8"), min_size=1)),
    st.integers(1, 9),
)
def test_lines_are_numbered_and_whole_however_they_are_chunked(texts: list[str], chunk: int) -> None:
    content = "\n".join(texts).encode()

    class Dripping(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(chunk)

    expected = [(n, t.encode()) for n, t in enumerate(texts, start=1) if t.encode().strip()]
    assert list(lines(Dripping(content))) == expected
