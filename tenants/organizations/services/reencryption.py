"""Re-encryption as administrators ask for it: started, followed, cancelled, taken up again."""

from uuid import UUID

from kernel import ids
from kernel.audit.log import record
from kernel.crypto import reencryption
from kernel.crypto.models import ReEncryption, ReEncryptionState
from kernel.crypto.reencryption import Turn
from kernel.errors import Conflict, NotFound
from kernel.events.outbox import Happening, emit
from kernel.tenancy.scope import acting_for, current_organization_id

STARTED = "tenants.re_encryption.started.v1"
FINISHED = "tenants.re_encryption.finished.v1"
# Goes through the outbox, so that a crash after the commit loses nothing.
DUE = "tenants.re_encryption.due.v1"
TURN_SECONDS = 20.0


class ReEncryptionUnknown(NotFound):
    """None was ever started."""

    message = "Nothing was re-encrypted yet."


class WrongState(Conflict):
    """It is not in a state that allows this."""

    code = "re_encryption_state"


def latest() -> ReEncryption:
    """The organization's last re-encryption. Raises `ReEncryptionUnknown`."""
    found: ReEncryption | None = ReEncryption.objects.order_by("-pk").first()
    if found is None:
        raise ReEncryptionUnknown
    return found


def start() -> ReEncryption:
    """Begin to bring everything under the newest key; one that runs is answered as it is."""
    running: ReEncryption | None = ReEncryption.objects.filter(state=ReEncryptionState.RUNNING).first()
    if running is not None:
        return running
    job = ReEncryption(organization_id=current_organization_id())
    job.save(force_insert=True)
    record("re_encryption.start", ids.render("org", current_organization_id()))
    _tell(STARTED, job)
    _tell(DUE, job)
    job.refresh_from_db()
    return job


def cancel() -> ReEncryption:
    """Stop after the present step. Raises `ReEncryptionUnknown`, `WrongState`."""
    return _turn(ReEncryptionState.RUNNING, ReEncryptionState.CANCELLED, "cancel")


def resume() -> ReEncryption:
    """Go on where it was cancelled. Raises `ReEncryptionUnknown`, `WrongState`."""
    job = _turn(ReEncryptionState.CANCELLED, ReEncryptionState.RUNNING, "resume")
    _tell(DUE, job)
    return job


def take_a_turn(organization_id: UUID) -> None:
    """Work on it for a while, and say that more is to be done."""
    turn = reencryption.advance(organization_id, seconds=TURN_SECONDS)
    if turn is not Turn.IDLE:
        with acting_for(organization_id):
            _tell(DUE if turn is Turn.MORE else FINISHED, latest())


def take_up_what_waits() -> None:
    """See to re-encryptions that nobody works on: their process died, or a store was away."""
    for organization_id, job_id in reencryption.waiting():
        with acting_for(organization_id):
            _tell(DUE, ReEncryption.objects.get(pk=job_id))


def _turn(before: ReEncryptionState, after: ReEncryptionState, action: str) -> ReEncryption:
    job = latest()
    changed = ReEncryption.objects.filter(pk=job.pk, state=before).update(state=after, lease_until=None)
    if not changed:
        raise WrongState(f"The re-encryption is {job.state}; this needs one that is {before.value}.")
    record(f"re_encryption.{action}", ids.render("org", job.organization_id))
    job.refresh_from_db()
    return job


def _tell(name: str, job: ReEncryption) -> None:
    emit(
        Happening(
            name,
            aggregate_id=job.organization_id,
            resource="" if name == DUE else "encryption_key",
            resource_id="" if name == DUE else ids.render("org", job.organization_id),
            payload={"seen": job.seen, "moved": job.moved},
        )
    )
