"""What the data plane keeps: an organization's entries in the serving snapshot, and what was counted."""

from collections.abc import Iterator, Sequence

from inference.deployments import caches, services, snapshot
from inference.deployments.valkey import valkey
from kernel.ports.erasure import Beat, Fate, Keeper, Subject, Trace, keeps
from kernel.tenancy.scope import acting_for

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


@keeps
class KeptAnswers(Keeper):
    """The cache of answers. It is sealed and named by keyed hashes, so nobody can look for somebody in it."""

    name = "kept answers"

    def find(self, subject: Subject, found: Sequence[Trace], beat: Beat) -> Iterator[Trace]:
        """All of it, wherever something of the subject is to be erased."""
        if any(trace.fate not in (Fate.KEPT, Fate.RETRAIN) for trace in found):
            yield Trace(
                kind="kept answers",
                place="valkey",
                count=1,
                fate=Fate.ERASED,
                because="Kept answers are sealed: whose they are cannot be told, so all of them go.",
            )

    def erase(self, subject: Subject, traces: Sequence[Trace], beat: Beat) -> None:
        """Begin the cache anew, or end it with the organization. Raises `redis.RedisError`."""
        organization_id = subject.organization_id
        if subject.is_everything:
            caches.withdraw(organization_id)
            return
        with acting_for(organization_id):
            services.clear_cache()
        caches.publish(organization_id)
        caches.drop_entries(organization_id)
