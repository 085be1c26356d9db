"""What the data plane keeps: an organization's entries in the serving snapshot, and what was counted."""

from collections.abc import Iterator, Sequence

from inference.deployments import snapshot
from inference.deployments.valkey import valkey
from kernel.ports.erasure import Beat, Fate, Keeper, Subject, Trace, keeps

SCAN = 1_000


@keeps
class Serving(Keeper):
    """Entries and counters in Valkey. A person's keys leave the snapshot with their membership, by event."""

    name = "serving"

    def find(self, subject: Subject, found: Sequence[Trace], beat: Beat) -> Iterator[Trace]:
        """A person's counters."""
        if subject.person is not None and (names := self._counters(subject)):
            yield Trace(kind="counters of limits", place="valkey", count=len(names), fate=Fate.ERASED)

    def erase(self, subject: Subject, traces: Sequence[Trace], beat: Beat) -> None:
        """Stop serving the organization at once, and forget what was counted. Raises `redis.RedisError`."""
        if subject.is_everything:
            snapshot.withdraw(subject.organization_id)
        if names := self._counters(subject):
            valkey().delete(*names)

    def _counters(self, subject: Subject) -> list[bytes]:
        person = f"{subject.person}*" if subject.person is not None else ""
        pattern = f"lw:limit:{{{subject.organization_id}}}:*{person}"
        return list(valkey().scan_iter(match=pattern, count=SCAN))
