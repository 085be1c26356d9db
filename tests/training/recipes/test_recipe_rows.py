"""Rows are read or refused by number, never quoted."""

import json
from pathlib import Path
from typing import Any

import pytest

from training.recipes.faults import Refused
from training.recipes.rows import Message, read_rows

GOOD = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho", "weight": 0}]}


def write(path: Path, *lines: Any) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_rows_keep_the_number_of_their_line(tmp_path: Path) -> None:
    rows = read_rows(write(tmp_path / "f", GOOD, "", GOOD))
    assert [row.number for row in rows] == [1, 3]
    assert rows[0].messages == (Message("user", "hi"), Message("assistant", "ho", 0))


def test_only_assistant_turns_with_a_weight_are_trained() -> None:
    assert Message("assistant", "x").trained
    assert not Message("assistant", "x", 0).trained
    assert not Message("user", "x").trained


@pytest.mark.parametrize(
    "bad",
    [
        "not json SECRET",
        "[]",
        '{"messages": []}',
        '{"messages": {"role": "user"}}',
        {"messages": [{"role": "tool", "content": "SECRET"}]},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": [{"role": "user", "content": ["SECRET"]}]},
        {"messages": [{"role": "assistant", "content": "SECRET", "weight": 2}]},
        {"messages": [{"role": "assistant", "content": "SECRET", "weight": True}]},
        {"messages": [{"role": "user", "content": "SECRET \ud800"}]},
        "[" * 100_000,
    ],
)
def test_every_bad_row_is_named_and_never_quoted(tmp_path: Path, bad: Any) -> None:
    with pytest.raises(Refused) as caught:
        read_rows(write(tmp_path / "f", bad, GOOD, bad))
    assert (caught.value.code, caught.value.rows) == ("row_invalid", (1, 3))
    assert "SECRET" not in caught.value.message


def test_a_file_that_is_empty_or_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no rows"):
        read_rows(write(tmp_path / "f", ""))
    with pytest.raises(Refused, match="cannot be read"):
        read_rows(tmp_path / "none")
