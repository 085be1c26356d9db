"""CSV with a header row: a column of questions, one of answers, and perhaps one of instructions."""

import codecs
import csv
from collections.abc import Iterable, Iterator

from tenants.datasets.formats.jsonl import Unusable, text
from tenants.datasets.formats.lines import MAX_LINE_BYTES, READ_BYTES, Readable
from tenants.datasets.formats.rows import Findings, Message, Problem, Row

CSV = "csv"
QUESTION_NAMES = ("prompt", "question", "input", "user", "instruction", "query")
ANSWER_NAMES = ("completion", "answer", "output", "assistant", "response", "reply")
SYSTEM_NAMES = ("system", "system_prompt", "context")


def read(stream: Readable) -> Findings:
    """Each row of the table, usable or not, in order; columns that are not read are a problem of row 1."""
    csv.field_size_limit(MAX_LINE_BYTES)
    reader = csv.reader(_text_lines(stream), strict=True)
    number = 0
    try:
        header = next(reader, [])
        columns = _columns(header)
        for number, cells in enumerate(reader, start=1):
            if cells:
                yield _row(number, cells, header, columns)
    except Unusable as fault:
        yield fault.at(max(number, 1))
    except csv.Error as fault:
        yield Problem(number + 1, "invalid_csv", f"The table cannot be read on: {fault}.")
    except UnicodeDecodeError:
        yield Problem(number + 1, "not_utf8", "The table is not UTF-8 text; save it as CSV UTF-8.")


def _columns(header: list[str]) -> dict[str, int]:
    names = [name.strip().lower() for name in header]
    roles = {"system": SYSTEM_NAMES, "user": QUESTION_NAMES, "assistant": ANSWER_NAMES}
    found = {
        role: names.index(match)
        for role, known in roles.items()
        if (match := next((name for name in known if name in names), None)) is not None
    }
    if "user" not in found or "assistant" not in found:
        raise Unusable(
            "columns_not_recognised",
            "The header needs a question column (for example 'prompt') and an answer column ('completion').",
        )
    unread = [name for place, name in enumerate(names) if place not in found.values()]
    if unread:
        raise Unusable(
            "unknown_column",
            f"The column '{unread[0][:40]}' is not read; remove it, or call it 'system' if it instructs.",
            unread[0][:40],
        )
    return found


def _row(number: int, cells: list[str], header: list[str], columns: dict[str, int]) -> Row | Problem:
    if len(cells) != len(header):
        message = f"The row has {len(cells)} cells; the header has {len(header)}."
        return Problem(number, "wrong_cell_count", message)
    try:
        return Row(number, tuple(_messages(cells, header, columns)))
    except Unusable as fault:
        return fault.at(number)


def _messages(cells: list[str], header: list[str], columns: dict[str, int]) -> Iterable[Message]:
    for role in ("system", "user", "assistant"):
        place = columns.get(role)
        if place is None or (role == "system" and not cells[place].strip()):
            continue
        yield Message(role, text(cells[place], header[place]))


def _text_lines(stream: Readable) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    held = ""
    while chunk := stream.read(READ_BYTES):
        held += decoder.decode(chunk)
        *complete, held = held.splitlines(keepends=True) or [""]
        yield from complete
        if len(held) > MAX_LINE_BYTES:
            raise csv.Error(f"a line is longer than {MAX_LINE_BYTES // (1024 * 1024)} MiB")
    held += decoder.decode(b"", final=True)
    if held:
        yield held
