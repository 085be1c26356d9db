"""`docs/api.md` says of each of OpenAI's operations what is true of it now."""

import json
from pathlib import Path

import pytest

from config.coverage import table
from config.coverage.published import OPERATIONS, Operation, listing, published, served

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT.parent / "shared" / "reference" / "openai-openapi.json"


def test_the_table_is_what_the_code_says() -> None:
    assert (ROOT / "docs" / "api.md").read_text() == table.page(), (
        "docs/api.md is not current; its first lines say how it is made"
    )


def test_what_is_said_of_an_operation_is_said_of_one_that_is_so() -> None:
    ours = served()
    by_name = {f"{one.method} {one.path}": one for one in published()}
    assert [name for name in table.PARTIAL if by_name[name].place not in ours] == []
    missing = [one.path for one in published() if one.place not in ours]
    assert [start for start in table.REASONS if not any(path.startswith(start) for path in missing)] == []


def test_an_operation_that_nobody_spoke_of_is_no_silent_omission() -> None:
    with pytest.raises(LookupError, match="GET /v1/new"):
        table.reason_for(Operation("GET", "/v1/new"))


def test_the_list_of_operations_is_the_published_one() -> None:
    if not REFERENCE.exists():
        pytest.skip("no copy of openai-openapi.json here")
    assert OPERATIONS.read_text() == listing(json.loads(REFERENCE.read_bytes()))
