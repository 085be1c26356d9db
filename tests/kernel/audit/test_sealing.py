"""Sealing: every committed entry once, in one chain, soon, whoever writes, and whoever dies."""

import io
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from subprocess import DEVNULL
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection
from django.test import override_settings

from config.onemachine import environment
from config.onemachine.environment import Place
from config.onemachine.layout import REPOSITORY
from kernel.audit import checkpoints, sealing
from kernel.audit.canonical import NOTHING_BEFORE, canonical_json, entry_hash
from kernel.audit.checkpoints import make_checkpoint, make_due_checkpoints, told
from kernel.audit.log import record
from kernel.audit.merkle import Range
from kernel.audit.models import AuditCheckpoint, AuditEntry, AuditSeal, UnsealedEntry
from kernel.audit.statements import read_checkpoint
from kernel.crypto import signing
from kernel.crypto.signing import Signature, verify
from kernel.errors import Unavailable
from kernel.events.models import OutboxEvent
from kernel.storage import objects
from tests.cast import Person

WRITERS = 100
EACH = 5


@pytest.fixture(autouse=True)
def nothing_waits(owner: Person) -> None:
    sealing.seal_everything()


def chain_of(person: Person) -> list[AuditSeal]:
    """The seals of the person's organization, checked against the entries: one chain, without a gap."""
    with person.acting():
        seals = list(AuditSeal.objects.order_by("sequence"))
        entries = {entry.pk: entry for entry in AuditEntry.objects.all()}
    previous = NOTHING_BEFORE
    for place, seal in enumerate(seals):
        assert (seal.sequence, bytes(seal.previous_hash)) == (place, previous)
        previous = entry_hash(entries[seal.pk].to_seal(), place, previous)
        assert bytes(seal.hash) == previous
    return seals


def in_a_thread(person: Person, act: Callable[[], Any]) -> Any:
    """Do it on a connection of its own."""

    def work() -> Any:
        try:
            with person.acting():
                return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def test_committed_entries_are_chained_in_order(owner: Person) -> None:
    with owner.acting():
        record("one.act", "thing-1", before={"a": 1}, after={"a": None, "ü": 1.5})
    time.sleep(0.002)
    with owner.acting():
        record("another.act", "thing-2")
    assert sealing.seal_everything() > 0
    seals = chain_of(owner)
    with owner.acting():
        assert len(seals) == AuditEntry.objects.count()
        assert not UnsealedEntry.objects.exists()
        last = AuditEntry.objects.get(pk=seals[-1].pk)
    assert last.action == "another.act"


def test_what_was_undone_is_not_sealed(owner: Person) -> None:
    def fail_midway() -> None:
        with owner.acting():
            record("undone.act", "nothing")
            raise RuntimeError

    before = len(chain_of(owner))
    with pytest.raises(RuntimeError):
        fail_midway()
    sealing.seal_everything()
    with owner.acting():
        assert not UnsealedEntry.objects.exists()
    assert len(chain_of(owner)) >= before


def test_an_entry_that_is_committed_late_is_sealed_too(owner: Person, place: Place) -> None:
    """Its id is older than that of entries which are sealed already."""
    late_id = UUID(int=0)
    began, sealed = threading.Event(), threading.Event()

    def write_slowly() -> UUID:
        record("slow.act", "thing")
        found: UUID = AuditEntry.objects.latest("id").pk
        began.set()
        assert sealed.wait(20)
        return found

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(in_a_thread, owner, write_slowly)
        assert began.wait(20)
        with owner.acting():
            record("quick.act", "thing")
        sealing.seal_everything()
        before = chain_of(owner)
        sealed.set()
        late_id = slow.result()
    sealing.seal_everything()
    after = chain_of(owner)
    assert late_id not in {seal.pk for seal in before}
    assert [seal.pk for seal in after] == [*(seal.pk for seal in before), late_id]
    assert late_id < before[-1].pk


def test_a_hundred_writers_and_three_sealers_do_not_fork_the_chain(owner: Person, place: Place) -> None:
    organization = owner.organization.pk
    over = threading.Event()

    def write(number: int) -> None:
        with psycopg.connect(environment.database_url(place), autocommit=True) as own:
            for turn in range(EACH):
                with own.transaction():
                    own.execute("SELECT set_config('app.organization_id', %s, true)", [str(organization)])
                    own.execute(
                        "INSERT INTO audit_auditentry (id, organization_id, actor, action, target, outcome,"
                        " request_id, details, address_commitment, sealed_address)"
                        " VALUES (uuidv7(), %s, 'user-1', 'parallel.act', %s, 'allowed', '', '{}', '', '')",
                        [organization, f"{number}-{turn}"],
                    )

    def seal() -> None:
        try:
            while not over.is_set():
                sealing.seal_everything()
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as sealers:
        sealing_threads = [sealers.submit(seal) for _ in range(3)]
        # Each has a connection of its own; PostgreSQL takes 97, and others need some.
        with ThreadPoolExecutor(80) as writers:
            list(writers.map(write, range(WRITERS)))
        over.set()
        for thread in sealing_threads:
            thread.result()
    sealing.seal_everything()
    seals = chain_of(owner)
    with owner.acting():
        written = set(AuditEntry.objects.values_list("pk", flat=True))
        assert AuditEntry.objects.filter(action="parallel.act").count() == WRITERS * EACH
    assert len(seals) == len(written) == len({seal.pk for seal in seals})


@pytest.fixture
def sealer(stores: Any) -> Iterator[threading.Event]:
    """The sealer as `manage.py schedule` runs it."""
    stopping = threading.Event()
    thread = threading.Thread(target=sealing.run, args=[stopping])
    thread.start()
    yield stopping
    stopping.set()
    thread.join(10)
    assert not thread.is_alive()


def test_an_entry_is_sealed_within_two_seconds(owner: Person, sealer: threading.Event) -> None:
    for turn in range(3):
        with owner.acting():
            record("timed.act", f"turn-{turn}")
            written = AuditEntry.objects.latest("id").pk
        until = time.monotonic() + 2
        while time.monotonic() < until and not _sealed(owner, written):
            time.sleep(0.05)
        assert _sealed(owner, written)


def _sealed(person: Person, entry: UUID) -> bool:
    with person.acting():
        return AuditSeal.objects.filter(pk=entry).exists()


class Killed(BaseException):
    """Stands for the end of the process: no code of ours handles it."""


STATEMENTS = ("pg_advisory_xact_lock", "FROM unnest", "INSERT INTO audit_auditseal", "DELETE FROM")


@pytest.mark.parametrize("statement", STATEMENTS)
@pytest.mark.parametrize("after", [False, True])
def test_a_sealer_that_is_killed_leaves_nothing_half_done(owner: Person, statement: str, after: bool) -> None:
    def die(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if statement not in sql:
            return execute(sql, params, many, context)
        if after:
            execute(sql, params, many, context)
        raise Killed

    before = chain_of(owner)
    with owner.acting():
        record("survived.act", "thing")
    with connection.execute_wrapper(die), pytest.raises(Killed):
        sealing.seal_waiting()
    assert chain_of(owner) == before
    with owner.acting():
        assert UnsealedEntry.objects.count() == 1
    sealing.seal_everything()
    assert len(chain_of(owner)) == len(before) + 1


@contextmanager
def the_schedule() -> Iterator["subprocess.Popen[bytes]"]:
    """`manage.py schedule` in a process of its own; killed at the end."""
    process = subprocess.Popen([sys.executable, str(REPOSITORY / "manage.py"), "schedule"], stderr=DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_killed_schedule_is_followed_by_another_that_seals_on(owner: Person) -> None:
    for turn in range(2):
        with owner.acting():
            record("before.the.kill", str(turn))
            written = AuditEntry.objects.latest("id").pk
        with the_schedule():
            until = time.monotonic() + 90
            while time.monotonic() < until and not _sealed(owner, written):
                time.sleep(0.2)
            assert _sealed(owner, written)
    with owner.acting():
        entries = AuditEntry.objects.count()
    assert len(chain_of(owner)) == entries


def test_an_entry_whose_note_was_removed_is_found_by_the_daily_look(owner: Person) -> None:
    with owner.acting():
        record("hidden.act", "thing")
        UnsealedEntry.objects.all().delete()
    assert sealing.seal_everything() == 0
    assert sealing.note_forgotten() == 1
    sealing.seal_everything()
    with owner.acting():
        hidden = AuditEntry.objects.get(action="hidden.act")
    assert chain_of(owner)[-1].pk == hidden.pk


def test_a_checkpoint_is_signed_kept_outside_and_told(owner: Person) -> None:
    with owner.acting():
        record("an.act", "thing")
    sealing.seal_everything()
    made = make_checkpoint(owner.organization.pk)
    assert made is not None
    tree = Range()
    for seal in chain_of(owner):
        tree.add_leaf(bytes(seal.hash))
    statement = read_checkpoint(made.document.encode())
    assert (statement.entries, statement.root) == (tree.end, tree.root())
    verify(made.document.encode(), Signature(made.key_id, bytes(made.signature)), signing.public_keys())
    outside = b"".join(objects.get_locked(owner.organization.pk, made.object_key))
    assert outside == canonical_json(told(made)).encode()
    with owner.acting():
        event = OutboxEvent.objects.get(name=checkpoints.CHECKPOINTED)
    assert event.payload == {"told": told(made)}


def test_sealing_comes_to_an_end_while_somebody_goes_on_writing(
    owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealing.seal_everything()
    seal, batches = sealing.seal_waiting, itertools.count(1)

    def and_one_more() -> int:
        assert next(batches) < 10, "it never ends"
        count = seal()
        with owner.acting():
            record("file.read", "file-1")
        return count

    monkeypatch.setattr(sealing, "seal_waiting", and_one_more)
    with owner.acting():
        record("file.read", "file-1")
    assert sealing.seal_everything() == 1


@override_settings(S3_LOCKED_BUCKET="")
def test_without_a_bucket_that_locks_a_checkpoint_lies_with_everything_else(owner: Person) -> None:
    sealing.seal_everything()
    made = make_checkpoint(owner.organization.pk)
    assert made is not None
    assert (
        b"".join(objects.get(owner.organization.pk, made.object_key)) == canonical_json(told(made)).encode()
    )


def test_a_checkpoint_grows_on_from_the_last_and_is_made_once(owner: Person) -> None:
    sealing.seal_everything()
    first = make_checkpoint(owner.organization.pk)
    assert first is not None
    assert make_checkpoint(owner.organization.pk) == first
    with owner.acting():
        for number in range(7):
            record("an.act", str(number))
    sealing.seal_everything()
    assert make_due_checkpoints() >= 1
    tree = Range()
    for seal in chain_of(owner):
        tree.add_leaf(bytes(seal.hash))
    with owner.acting():
        newest = AuditCheckpoint.objects.latest("entries")
    assert (newest.entries, bytes(newest.root)) == (first.entries + 7, tree.root())


def test_a_checkpoint_waits_for_the_object_store(owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(organization_id: UUID, key: str, stream: io.BytesIO, *, until: datetime) -> None:
        raise Unavailable

    sealing.seal_everything()
    monkeypatch.setattr(objects, "put_locked", away)
    make_due_checkpoints()
    with owner.acting():
        assert not AuditCheckpoint.objects.exists()
    monkeypatch.undo()
    assert make_due_checkpoints() >= 1
    with owner.acting():
        assert AuditCheckpoint.objects.count() == 1
