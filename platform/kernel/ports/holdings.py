"""What each table holds of an organization and its people: how that is exported, erased and kept.

Every tenant-owned model declares one as `holding`; who exports, erases or retains walks the models and knows
none of them by name.
"""

from dataclasses import dataclass
from enum import StrEnum


class Erasure(StrEnum):
    """What becomes of the rows about a person who is erased."""

    DELETED = "deleted"
    # What their own key seals is unreadable once it is destroyed, in backups too; the rows go.
    SHREDDED = "shredded"
    # The columns that name or describe the person are emptied; the rest is the organization's.
    CLEARED = "cleared"
    # The law or the record's purpose demands it; `because` says which.
    KEPT = "kept"
    # The table is about nobody in particular.
    NOBODY = "nobody"


@dataclass(frozen=True, kw_only=True)
class Holding:
    """What one table holds.

    `kind` is the word that people read in reports and retention policies ("conversations"). `person` is the
    lookup from a row to the id of the user whom it is about. `cleared` are the columns that `CLEARED`
    empties. `withheld` are columns that no export shows: secrets and what only the machine reads. `age` is
    the column by which retention counts days; without one the rows live as long as what they belong to.
    """

    kind: str
    erased: Erasure
    person: str = ""
    cleared: tuple[str, ...] = ()
    because: str = ""
    withheld: frozenset[str] = frozenset()
    age: str = ""

    def __post_init__(self) -> None:
        """Refuse a declaration that contradicts itself. Raises `ValueError`."""
        if (self.erased is Erasure.NOBODY) != (not self.person):
            raise ValueError(f"{self.kind}: name the person, or say that the table is about nobody.")
        if (self.erased is Erasure.KEPT) != bool(self.because):
            raise ValueError(f"{self.kind}: what is kept, and only that, needs its reason.")
        if (self.erased is Erasure.CLEARED) != bool(self.cleared):
            raise ValueError(f"{self.kind}: name the columns that are cleared, and clear them only then.")
