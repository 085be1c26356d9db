"""What a line of an input file may be, and that every problem is told with its line."""

import io
import json
from typing import Any
from uuid import UUID

import pytest

from inference.batches.lines import lines_of, read_request, request_id_of
from inference.batches.validation import MAX_REQUESTS, TOLD_FAULTS, Verdict, look_through
from kernel.ids import uuid7
from tenants.datasets.formats.lines import MAX_LINE_BYTES
from tests.inference.batches.house import ENDPOINT, line, lines


def looked_through(content: bytes) -> Verdict:
    return look_through(io.BytesIO(content), ENDPOINT, lambda: None)


def told(content: bytes) -> list[tuple[int | None, str, str | None]]:
    return [(fault.line, fault.code, fault.param) for fault in looked_through(content).told]


def test_good_lines_are_counted_and_their_one_model_is_named() -> None:
    verdict = looked_through(lines(3))
    assert (verdict.total, verdict.told, verdict.model) == (3, [], "support")
    mixed = lines(2) + line("other", body={"model": "another"})
    assert looked_through(mixed).model == ""


def test_blank_lines_byte_order_marks_and_a_missing_last_newline_do_no_harm() -> None:
    content = b"\xef\xbb\xbf" + line("a") + b"\r\n \n" + line("b").strip()
    assert told(content) == []
    assert [found.number for found in lines_of(io.BytesIO(content))] == [1, 4]


@pytest.mark.parametrize(
    ("bad", "code", "param"),
    [
        (b"not json\n", "invalid_json", None),
        (b'{"custom_id": "a"\n', "invalid_json", None),
        (b'{"custom_id": "\xff"}\n', "invalid_json", None),
        (b"[1]\n", "not_an_object", None),
        (b"null\n", "not_an_object", None),
        (b"[" * 100_000 + b"\n", "invalid_json", None),
        (line("a", custom_id=None), "invalid_custom_id", "custom_id"),
        (line("a", custom_id=7), "invalid_custom_id", "custom_id"),
        (line(""), "invalid_custom_id", "custom_id"),
        (line("x" * 513), "invalid_custom_id", "custom_id"),
        (line("a", method="GET"), "invalid_method", "method"),
        (line("a", method="post"), "invalid_method", "method"),
        (line("a", url="/v1/embeddings"), "mismatched_url", "url"),
        (line("a", url=None), "mismatched_url", "url"),
        (line("a", body="text"), "invalid_body", "body"),
        (line("a", body=None), "invalid_body", "body"),
        (line("a", body={"stream": True}), "unsupported_parameter", "body.stream"),
        (line("a", priority=1), "unknown_parameter", None),
        (b'{"a": "' + b"x" * MAX_LINE_BYTES + b'"}\n', "line_too_long", None),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_bad_line_is_told_with_its_number_and_place(bad: bytes, code: str, param: str | None) -> None:
    assert told(line("before") + bad + line("after")) == [(2, code, param)]


def test_a_custom_id_stands_once() -> None:
    verdict = looked_through(line("same") + line("other") + line("same"))
    [fault] = verdict.told
    assert (fault.line, fault.code) == (3, "duplicate_custom_id")
    assert "line 1" in fault.message
    assert "same" not in fault.message


def test_a_file_without_requests_and_one_with_too_many_are_told() -> None:
    assert told(b"") == told(b"\n \n") == [(None, "empty_file", None)]
    assert told(lines(MAX_REQUESTS)) == []
    assert told(lines(MAX_REQUESTS + 1)) == [(None, "too_many_requests", None)]


def test_every_bad_line_is_counted_and_the_first_are_told() -> None:
    verdict = looked_through(b"x\n" * (TOLD_FAULTS + 5))
    assert verdict.found_faults == TOLD_FAULTS + 5
    assert [fault.line for fault in verdict.told[:-1]] == list(range(1, TOLD_FAULTS + 1))
    assert verdict.told[-1].message == "5 more lines of the file have errors."


def test_reading_goes_on_after_any_line_with_the_same_numbers() -> None:
    stored = io.BytesIO(b"\xef\xbb\xbf" + lines(3) + b"\n" + line("r4"))
    whole = list(lines_of(stored))
    for before in whole:
        rest = list(lines_of(stored, line=before.number, offset=before.end))
        assert rest == [later for later in whole if later.number > before.number]


def test_a_body_is_passed_on_with_its_values() -> None:
    body: dict[str, Any] = {"model": "m", "temperature": 0.1, "stop": ["ä\u0000"], "n": 1, "seed": 2**53 + 1}
    [found] = lines_of(io.BytesIO(line("a", body=body)))
    request = read_request(found, ENDPOINT)
    assert json.loads(request.body) == body
    assert (request.custom_id, request.model) == ("a", "m")


def test_a_requests_id_is_the_same_each_time_and_another_for_each_line_and_try() -> None:
    batch = uuid7()
    known = {request_id_of(batch, number, tries) for number in range(1, 200) for tries in range(3)}
    assert len(known) == 199 * 3
    assert request_id_of(batch, 7, 0) in known
    one: UUID = next(iter(known))
    assert one.version == 7
    assert {found.int >> 80 for found in known} == {batch.int >> 80}
