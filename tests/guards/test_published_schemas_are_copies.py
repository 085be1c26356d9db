"""The schemas that answers are held to are those of the published specifications."""

import json
from pathlib import Path

import pytest

from tests.published.schemas import ROOTS, copy_of, cut

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference"


@pytest.mark.parametrize("name", ROOTS)
def test_a_copy_says_what_the_specification_says(name: str) -> None:
    published = REFERENCE / f"{name}-openapi.json"
    if not published.exists():
        pytest.skip(f"no copy of {published.name} here")
    assert copy_of(name).read_text() == cut(json.loads(published.read_bytes()), name)
