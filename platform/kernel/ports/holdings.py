"""What each table holds of an organization and its people: how that is exported, erased and kept.

Every tenant-owned model declares one as `holding`; who exports, erases or retains walks the models and knows
none of them by name.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from django.db.models import Q

from kernel import ids


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
class Keeping:
    """For how many days after the moment in the column `since` rows are kept; those without one stay.

    Rows with something in the column `gone` are tombstones, and stay too. `days` holds unless the
    organization says otherwise, None being without end; what it says lies between `at_least` and `at_most`.
    """

    since: str
    days: int | None = None
    at_least: int = 1
    at_most: int | None = None
    gone: str = ""

    def allows(self, days: int | None) -> bool:
        """Whether an organization may choose that."""
        if days is None:
            return self.at_most is None
        return self.at_least <= days and (self.at_most is None or days <= self.at_most)


@dataclass(frozen=True, kw_only=True)
class Holding:
    """What one table holds.

    `kind` is the word that people read in reports and retention policies ("conversations"). `person` is the
    lookup from a row to the id of the user whom it is about, or to its rendering with the prefix `person_as`;
    `address` that to an e-mail address. `cleared` are the columns that `CLEARED` empties. `withheld` are
    columns that no export shows: secrets and what only the machine reads. `objects` are the columns that
    hold the keys of the row's stored objects. `kept` says how long rows stay; without it they live as long as
    what they belong to.
    """

    kind: str
    erased: Erasure
    person: str = ""
    person_as: str = ""
    address: str = ""
    cleared: tuple[str, ...] = ()
    because: str = ""
    withheld: frozenset[str] = frozenset()
    objects: tuple[str, ...] = ()
    kept: Keeping | None = None

    def __post_init__(self) -> None:
        """Refuse a declaration that contradicts itself. Raises `ValueError`."""
        if (self.erased is Erasure.NOBODY) == bool(self.person or self.address):
            raise ValueError(f"{self.kind}: name the person, or say that the table is about nobody.")
        if (self.erased is Erasure.KEPT) != bool(self.because):
            raise ValueError(f"{self.kind}: what is kept, and only that, needs its reason.")
        if (self.erased is Erasure.CLEARED) != bool(self.cleared):
            raise ValueError(f"{self.kind}: name the columns that are cleared, and clear them only then.")

    def about(self, person: UUID | None, addresses: tuple[str, ...] = ()) -> Q:
        """Which rows are about the person, or about whoever has these addresses."""
        found = Q(pk__in=())
        if self.person and person is not None:
            wanted = ids.render(self.person_as, person) if self.person_as else person
            found |= Q(**{self.person: wanted})
        if self.address:
            for address in addresses:
                # A column may hold several addresses.
                several = self.address.endswith("__contains")
                found |= Q(**{self.address: [address] if several else address})
        return found


def of_nobody(kind: str, **more: object) -> Holding:
    """A table that is about nobody in particular."""
    return Holding(kind=kind, erased=Erasure.NOBODY, **more)  # type: ignore[arg-type]
