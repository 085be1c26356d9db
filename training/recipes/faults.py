"""What can go wrong with a run, each with the code and the sentence that people are told."""

from collections.abc import Sequence


class Refused(Exception):
    """The run cannot go on. `code` is stable, `message` is for people, `rows` are 1-based line numbers."""

    def __init__(self, code: str, message: str, rows: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.rows = tuple(rows)


def rows_in_words(rows: Sequence[int], shown: int = 10) -> str:
    """Return "3 rows (4, 9, 17)", naming at most `shown` of them."""
    names = ", ".join(str(row) for row in rows[:shown]) + (", …" if len(rows) > shown else "")
    return f"{len(rows)} row{'' if len(rows) == 1 else 's'} ({names})"
