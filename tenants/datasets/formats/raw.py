"""The rows of a file as they lie in it, usable or not: to look for words in them and to leave some out."""

import codecs
import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tenants.datasets.formats.lines import MAX_LINE_BYTES, READ_BYTES, Readable

# Bytes that are no UTF-8 pass through unchanged.
UNDECODABLE = "surrogateescape"
HEADER = 0


@dataclass(frozen=True)
class RawRow:
    """One row: its number as validation counts it (0 is a table's header), its bytes, the texts in it."""

    number: int
    raw: bytes
    texts: tuple[str, ...]


def raw_rows(stream: Readable, *, is_table: bool) -> Iterator[RawRow]:
    """Every row of a file in order; what is written of all of them has the same rows as the file.

    Only what was validated as a table is read as one: of anything else each line is a row.
    """
    return _table_rows(stream) if is_table else _line_rows(stream)


def _line_rows(stream: Readable) -> Iterator[RawRow]:
    number, held = 0, b""
    while chunk := stream.read(READ_BYTES):
        *complete, held = (held + chunk).split(b"\n")
        for line in complete:
            number += 1
            yield RawRow(number, line + b"\n", _texts_of(line))
        while len(held) > MAX_LINE_BYTES:
            # No row: it is too long to be one. It is looked through in pieces that share their ends.
            yield RawRow(number + 1, held[:-READ_BYTES], _texts_of(held))
            held = held[-READ_BYTES:]
    if held:
        yield RawRow(number + 1, held, _texts_of(held))


def _texts_of(line: bytes) -> tuple[str, ...]:
    text = line.decode("utf-8-sig", UNDECODABLE)
    try:
        return tuple(_texts_in(json.loads(text)))
    except (ValueError, RecursionError):
        return (text,)


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts_in(inner)
    elif value is not None:
        yield str(value)


def _table_rows(stream: Readable) -> Iterator[RawRow]:
    csv.field_size_limit(MAX_LINE_BYTES)
    for number, cells in enumerate(csv.reader(_text_lines(stream))):
        yield RawRow(number, _written(cells), tuple(cells))


def _written(cells: list[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode("utf-8", UNDECODABLE)


def _text_lines(stream: Readable) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")(UNDECODABLE)
    held = ""
    while chunk := stream.read(READ_BYTES):
        *complete, held = (held + decoder.decode(chunk)).splitlines(keepends=True) or [""]
        yield from complete
        if len(held) > MAX_LINE_BYTES:
            yield held
            held = ""
    if held := held + decoder.decode(b"", final=True):
        yield held
