"""Checkpoints between the recipe's folder and the object store, and back."""

import shutil
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from kernel import ids
from kernel.audit.log import record
from kernel.crypto.errors import CiphertextAltered
from kernel.storage import objects
from kernel.storage.errors import ObjectMissing
from kernel.storage.names import object_key
from kernel.tenancy.scope import acting_for
from training.jobs import states
from training.jobs.errors import LeaseLost
from training.jobs.execution import leases, setbacks
from training.jobs.execution.leases import Lease
from training.jobs.models import Checkpoint, FineTuningJob
from training.jobs.states import Line

KEPT = 3

log = structlog.get_logger()


@dataclass(frozen=True)
class Written:
    """A complete checkpoint in the recipe's folder, and what its step had measured."""

    step: int
    folder: Path
    metrics: dict[str, Any]


def store(lease: Lease, written: Written) -> None:
    """Encrypt and upload a checkpoint, then enter its row: without the row there is no checkpoint.

    Raises `LeaseLost` (what was uploaded is removed again), `StorageUnavailable`.
    """
    key = object_key(lease.organization_id, "checkpoints", ids.uuid7())
    with tempfile.TemporaryFile(dir=written.folder.parent) as packed:
        pack(packed, written.folder, sorted(path.name for path in written.folder.iterdir()))
        packed.seek(0)
        stored = objects.put(lease.organization_id, key, packed)
    try:
        with acting_for(lease.organization_id):
            dropped = _enter(leases.hold(lease), written, stored)
    except LeaseLost:
        objects.delete(lease.organization_id, key)
        raise
    remove(lease.organization_id, dropped)
    shutil.rmtree(written.folder, ignore_errors=True)


def fetch_latest(lease: Lease, into: Path) -> tuple[int, Path] | None:
    """The latest checkpoint that can be read back whole, as its step and a folder under `into`.

    One that cannot is marked as broken and the one before it is tried. Raises `LeaseLost`,
    `StorageUnavailable`.
    """
    with acting_for(lease.organization_id):
        candidates = setbacks.usable_checkpoints(leases.hold(lease))
    for checkpoint in candidates:
        folder = into / f"resume-{checkpoint.step:06d}"
        with acting_for(lease.organization_id):
            record("checkpoint.read", ids.render("ftjob", lease.job_id), step=checkpoint.step)
        try:
            _fetch(lease.organization_id, checkpoint, folder)
        except (ObjectMissing, CiphertextAltered, tarfile.TarError, EOFError, ValueError) as fault:
            log.error("checkpoint.broken", step=checkpoint.step, fault=type(fault).__name__)
            mark_broken(lease, checkpoint.step)
        else:
            return checkpoint.step, folder
    return None


def mark_broken(lease: Lease, step: int) -> None:
    """Never use this checkpoint again. Raises `LeaseLost`."""
    with acting_for(lease.organization_id):
        job = leases.hold(lease)
        Checkpoint.objects.filter(job=job, step=step).update(broken=True)
        states.tell(
            job, Line(f"The checkpoint of step {step} is damaged; an earlier one is used.", level="warn")
        )


def pack(target: Any, folder: Path, names: Iterable[str]) -> None:
    """Write an uncompressed tar of the named entries of a folder, the same bytes for the same content."""
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in names:
            tar.add(folder / name, arcname=name, filter=_without_traces)


def remove(organization_id: UUID, keys: Iterable[str]) -> None:
    """Delete objects that no row names any more."""
    for key in keys:
        objects.delete(organization_id, key)


def _without_traces(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


def _enter(job: FineTuningJob, written: Written, stored: objects.StoredObject) -> list[str]:
    """Enter the row; answer the keys of objects that are not needed any more."""
    before = Checkpoint.objects.filter(job=job)
    replaced = list(
        before.filter(step=written.step).exclude(object_key="").values_list("object_key", flat=True)
    )
    latest = before.order_by("-step").values_list("step", flat=True).first() or 0
    Checkpoint.objects.update_or_create(
        job=job,
        step=written.step,
        defaults={
            "object_key": stored.key,
            "bytes": stored.bytes,
            "digest": stored.sha256_of_plaintext,
            "metrics": written.metrics,
            "broken": False,
        },
    )
    if written.step > latest:
        # Progress: what went wrong before does not count against the job any more.
        FineTuningJob.objects.filter(pk=job.pk).update(attempts={})
    states.tell(job, Line(f"Checkpoint created at step {written.step}", data={"step": written.step}))
    old = setbacks.usable_checkpoints(job)[KEPT:]
    Checkpoint.objects.filter(pk__in=[checkpoint.pk for checkpoint in old]).update(object_key="")
    return replaced + [checkpoint.object_key for checkpoint in old]


def _fetch(organization_id: UUID, checkpoint: Checkpoint, folder: Path) -> None:
    digest = sha256()
    with tempfile.TemporaryFile(dir=folder.parent) as packed:
        for chunk in objects.get(organization_id, checkpoint.object_key):
            digest.update(chunk)
            packed.write(chunk)
        if digest.hexdigest() != checkpoint.digest:
            raise CiphertextAltered
        packed.seek(0)
        with tarfile.open(fileobj=packed, mode="r:") as tar:
            tar.extractall(folder, filter="data")
