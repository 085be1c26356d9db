"""The sample rows are varied, right, in the promised form, and made again byte for byte."""

import json
import re
from pathlib import Path

from tenants.datasets.samples import generate

FOLDER = Path(generate.__file__).parent


def test_the_files_are_what_the_generator_makes(tmp_path: Path) -> None:
    generate.write_samples(tmp_path)
    for name in ("word_problems.jsonl", "word_problems_held_out.jsonl"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_every_calculation_is_right_and_leads_to_the_last_line() -> None:
    questions = set()
    for name in ("word_problems.jsonl", "word_problems_held_out.jsonl"):
        for line in (FOLDER / name).read_text().splitlines():
            user, assistant = json.loads(line)["messages"]
            questions.add(user["content"])
            work, _, answer = assistant["content"].rpartition("\n#### ")
            sums = re.findall(r"(\d+) ([-+*/]) (\d+) = (\d+)", work)
            assert sums
            assert all(calculate(a, sign, b) == int(result) for a, sign, b, result in sums)
            assert sums[-1][3] == answer
    assert len(questions) == generate.TRAIN_ROWS + generate.HELD_OUT_ROWS
    assert len(generate.TEMPLATES) >= 15


def calculate(a: str, sign: str, b: str) -> float:
    x, y = int(a), int(b)
    return {"+": x + y, "-": x - y, "*": x * y, "/": x / y}[sign]
