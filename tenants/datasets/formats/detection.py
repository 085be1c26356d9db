"""Tell which form a file has, by its name and its first row."""

import io

from tenants.datasets.formats import jsonl, tables
from tenants.datasets.formats.lines import Readable, lines
from tenants.datasets.formats.rows import Findings, Problem

PEEK_BYTES = 1 << 20


class Rewound:
    """A stream whose beginning, already read, is read again."""

    def __init__(self, beginning: bytes, rest: Readable) -> None:
        self._beginning, self._rest = io.BytesIO(beginning), rest

    def read(self, size: int, /) -> bytes:
        return self._beginning.read(size) or self._rest.read(size)


def open_rows(stream: Readable, filename: str) -> tuple[str, Findings]:
    """The form of a file (`chat`, `prompt_completion` or `csv`) and its rows.

    A file whose first row has no known form is read as chat, so that each row says what it lacks.
    """
    beginning = stream.read(PEEK_BYTES)
    source = Rewound(beginning, stream)
    if filename.lower().endswith(".csv"):
        return tables.CSV, tables.read(source)
    form = _form_of_first_row(beginning)
    return form, jsonl.read(source, form)


def _form_of_first_row(beginning: bytes) -> str:
    for _, line in lines(io.BytesIO(beginning)):
        if isinstance(line, Problem):
            continue
        try:
            form = jsonl.form_of(jsonl.decode(line))
        except jsonl.Unusable:
            continue
        if form:
            return form
    return jsonl.CHAT
