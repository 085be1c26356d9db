"""What the audit log costs: the second half of `make bench-trust`.

Processes write entries as fast as they can, in turn with sealing and without: what else the machine does
meets all alike. Then a long export is verified.
"""

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from typing import Any

import django
import psutil
import psycopg

from config.onemachine import environment
from config.onemachine.environment import Place
from tests.benchmarks.figures import Figure, against, at_least_of, at_most, at_most_of

WRITERS = 2
ROUNDS = 8
ROUND_SECONDS = 4.0
GOAL_SHARE = 0.95
GOAL_LAG_SECONDS = 2.0
COUNTED_ENTRIES = 500
COUNTED_ROUNDS = 3
VERIFIED_ENTRIES = 20_000
# Ids are in the order of time: one look finds the oldest. Measuring must not cost what is measured.
LAG = """
SELECT extract(epoch FROM clock_timestamp() - entry.occurred_at)
FROM audit_auditentry AS entry
WHERE entry.id = (SELECT id FROM audit_unsealedentry ORDER BY id LIMIT 1)
"""


def write(organization: str, person: str, tasks: Any, counts: Any) -> None:
    """A process that writes entries whenever it is told for how long, and says how many they were."""
    django.setup()
    log = import_module("kernel.audit.log")
    scope = import_module("kernel.tenancy.scope")
    uuid = import_module("uuid").UUID
    actor = log.Actor(f"user-{person}", "203.0.113.9", "req-1", uuid(person))
    with log.acting_as(actor):
        while seconds := tasks.get():
            done, until = 0, time.perf_counter() + seconds
            while time.perf_counter() < until:
                with scope.acting_for(uuid(organization)):
                    log.record("file.download", "file-1", before={"state": "new"}, after={"state": "old"})
                done += 1
            counts.put(done)


@contextmanager
def writers(cast: Any) -> Iterator[Any]:
    """Calls that let all writers write for some seconds, and answer the entries per second."""
    context = get_context("spawn")
    owner = cast.new_person()
    tasks, counts = context.Queue(), context.Queue()
    arguments = (str(owner.organization.pk), str(owner.user.pk), tasks, counts)
    processes = [context.Process(target=write, args=arguments) for _ in range(WRITERS)]
    for process in processes:
        process.start()

    def rate(seconds: float) -> float:
        for _ in processes:
            tasks.put(seconds)
        return sum(counts.get(timeout=120) for _ in processes) / seconds

    try:
        rate(1.0)
        yield rate
    finally:
        for _ in processes:
            tasks.put(0)
        for process in processes:
            process.join(30)


@contextmanager
def meanwhile(act: Callable[..., object], *arguments: Any) -> Iterator[None]:
    """A thread that acts until the event that it is given last is set."""
    stopping = threading.Event()
    thread = threading.Thread(target=act, args=[*arguments, stopping])
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def look(place: Place, lags: list[float], stopping: threading.Event) -> None:
    """Note the lag every tenth of a second, as a role that sees all."""
    with psycopg.connect(environment.database_url(place), autocommit=True) as watcher:
        watcher.execute("SET ROLE lw_system")
        while not stopping.wait(0.1):
            row = watcher.execute(LAG).fetchone()
            lags.append(float(row[0]) if row else 0.0)


def sealed_and_not(place: Place, cast: Any) -> list[Figure]:
    """Writing while the sealer runs against writing while it does not, in turn; and the lag meanwhile.

    Also without the note by which an entry waits for its seal, which is part of every write. Somebody looks
    at the lag all the time, so that looking is no part of the difference.
    """
    sealing = import_module("kernel.audit.sealing")
    rates: dict[str, list[float]] = {"bare": [], "noted": [], "sealed": []}
    lags: list[float] = []
    watched = partial(meanwhile, look, place)
    with (
        psycopg.connect(environment.owner(place)["DATABASE_URL"], autocommit=True) as owner,
        writers(cast) as rate,
    ):
        for _ in range(ROUNDS):
            owner.execute("ALTER TABLE audit_auditentry DISABLE TRIGGER wait_for_seal")
            with watched([]):
                rates["bare"].append(rate(ROUND_SECONDS))
            owner.execute("ALTER TABLE audit_auditentry ENABLE TRIGGER wait_for_seal")
            with watched([]):
                rates["noted"].append(rate(ROUND_SECONDS))
            sealing.seal_everything()
            with watched(lags), meanwhile(sealing.run):
                rates["sealed"].append(rate(ROUND_SECONDS))
            sealing.seal_everything()
    print({name: [round(one) for one in found] for name, found in rates.items()})
    bare, noted, sealed = (statistics.median(rates[name]) for name in ("bare", "noted", "sealed"))
    return [
        at_least_of(
            "audit entries written while the sealer runs",
            sealed,
            "1/s",
            peer="while it does not",
            peer_value=noted,
            share=GOAL_SHARE,
        ),
        against("audit entries written, noted as unsealed", noted, "1/s", peer="not noted", peer_value=bare),
        at_most("lag of sealing under this load, at most", max(lags), "s", GOAL_LAG_SECONDS),
    ]


def processor_time(cast: Any) -> Figure:
    """What sealing an entry takes of the processors, here and in PostgreSQL, against what writing it takes.

    Unlike the throughput, it says something on a machine that is busy with other things too.
    """
    log = import_module("kernel.audit.log")
    sealing = import_module("kernel.audit.sealing")
    owner = cast.new_person()
    actor = log.Actor(owner.user.public_id, "203.0.113.9", "req-1", owner.user.pk)

    def write_all() -> None:
        with log.acting_as(actor):
            for _ in range(COUNTED_ENTRIES):
                with owner.acting():
                    log.record("file.download", "file-1", before={"state": "new"}, after={"state": "old"})

    write_all()
    sealing.seal_everything()
    rounds = [(used(write_all), used(sealing.seal_everything)) for _ in range(COUNTED_ROUNDS)]
    writing, sealed = (
        statistics.median(times) * 1e6 / COUNTED_ENTRIES for times in zip(*rounds, strict=True)
    )
    return at_most_of(
        "processor time of sealing an entry",
        sealed,
        "us",
        peer="of writing it",
        peer_value=writing,
        share=1 - GOAL_SHARE,
    )


def used(act: Callable[[], object]) -> float:
    """Seconds of processor time that an act takes here and in PostgreSQL's processes."""
    before = time.process_time() + database_time()
    act()
    return time.process_time() + database_time() - before


def database_time() -> float:
    """Seconds of processor time that PostgreSQL's processes have taken so far."""
    children = psutil.Process().children(recursive=True)
    times = [child.cpu_times() for child in children if "postgres" in child.name()]
    return sum(one.user + one.system for one in times)


def addresses(cast: Any) -> Figure:
    """What sealing the address under the person's key takes of each entry."""
    models = import_module("kernel.audit.models")
    owner = cast.new_person()
    entry = models.AuditEntry(organization_id=owner.organization.pk, person=owner.user.pk)
    with owner.acting():
        entry.keep_address(bytes(16), "203.0.113.9")
        began = time.perf_counter()
        for _ in range(1000):
            entry.keep_address(os.urandom(16), "203.0.113.9")
    return Figure("sealing the address of an entry", (time.perf_counter() - began) * 1e3, "us")


def verification() -> list[Figure]:
    """How fast an export is verified, by one process."""
    ledger = import_module("tests.kernel.audit.ledger")
    verify = import_module("kernel.audit.verify")
    signing = import_module("kernel.crypto.signing")
    lines = ledger.Ledger(VERIFIED_ENTRIES, checkpoints_after=range(0, VERIFIED_ENTRIES, 100)).export()
    began = time.perf_counter()
    verify.verify_lines(iter(lines), signing.public_keys())
    seconds = time.perf_counter() - began
    return [
        Figure("verification of an export", VERIFIED_ENTRIES / seconds, "entries/s"),
        Figure("verification of an export", sum(map(len, lines)) / seconds / 1e6, "MB/s"),
    ]


def figures(place: Place) -> list[Figure]:
    """All of them, with stores that run."""
    cast = import_module("tests.cast")
    return [*sealed_and_not(place, cast), processor_time(cast), addresses(cast), *verification()]
