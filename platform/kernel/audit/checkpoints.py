"""Signed checkpoints of the audit log: made each minute, kept in the database and outside it."""

import base64
import io
from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from kernel.audit import merkle
from kernel.audit.canonical import canonical_json
from kernel.audit.models import AuditCheckpoint, AuditSeal
from kernel.audit.statements import Checkpoint
from kernel.crypto import signing
from kernel.errors import DomainError
from kernel.events.outbox import Happening, emit
from kernel.ids import render, uuid7
from kernel.storage import objects
from kernel.storage.names import object_key
from kernel.tenancy.scope import across_tenants, acting_for

CHECKPOINTED = "kernel.audit.checkpointed.v1"
CHECKPOINT_SECONDS = 60.0
# Longer than from one yearly audit to the next.
LOCKED_FOR = timedelta(days=400)
ROOM = "audit"
# Each organization is looked up in the index alone, however long its chain is.
_BEHIND = """
WITH RECURSIVE organization AS (
    (SELECT organization_id AS id FROM audit_auditseal ORDER BY organization_id LIMIT 1)
    UNION ALL
    SELECT (SELECT organization_id FROM audit_auditseal WHERE organization_id > organization.id
            ORDER BY organization_id LIMIT 1)
    FROM organization WHERE organization.id IS NOT NULL
)
SELECT id FROM organization
WHERE (SELECT max(sequence) + 1 FROM audit_auditseal WHERE organization_id = organization.id)
    > coalesce((SELECT max(entries) FROM audit_auditcheckpoint WHERE organization_id = organization.id), 0)
"""

log = structlog.get_logger()


def make_due_checkpoints() -> int:
    """A checkpoint for every organization whose chain has grown since its last; answers how many.

    One that cannot be kept outside now is made in a minute.
    """
    with across_tenants(), connection.cursor() as cursor:
        cursor.execute(_BEHIND)
        behind = [row[0] for row in cursor.fetchall()]
    made = 0
    for organization_id in behind:
        try:
            made += make_checkpoint(organization_id) is not None
        except DomainError as fault:
            log.warning("audit.checkpoint_put_off", organization_id=str(organization_id), fault=fault.code)
    return made


def make_checkpoint(organization_id: UUID) -> AuditCheckpoint | None:
    """The checkpoint over all that is sealed, made unless there is one; None where nothing is sealed.

    Opens its own scopes. Raises `StorageUnavailable`, `KeyUnavailable`, `KeyDestroyed`.
    """
    with acting_for(organization_id):
        head = AuditSeal.objects.annotate(now=Now()).order_by("-sequence").first()
        if head is None:
            return None
        last: AuditCheckpoint | None = AuditCheckpoint.objects.order_by("-entries").first()
        if last is not None and last.entries == head.sequence + 1:
            return last
        tree = _grown(last, head.sequence + 1)
    statement = Checkpoint(organization_id, tree.end, tree.root(), bytes(head.hash), head.now)
    return _keep(statement, tree)


def told(checkpoint: AuditCheckpoint) -> dict[str, str]:
    """A checkpoint as it is told outside: the signed text, and the signature."""
    return {
        "document": checkpoint.document,
        "key_id": checkpoint.key_id,
        "signature": base64.b64encode(bytes(checkpoint.signature)).decode(),
    }


def _grown(last: AuditCheckpoint | None, size: int) -> merkle.Range:
    """The tree of so many entries, grown from the last checkpoint's."""
    tree = merkle.tree_of(last.entries, bytes(last.subtrees)) if last else merkle.Range()
    rows = AuditSeal.objects.filter(sequence__gte=tree.end, sequence__lt=size).order_by("sequence")
    for found in rows.values_list("hash", flat=True).iterator():
        tree.add_leaf(bytes(found))
    return tree


def _keep(statement: Checkpoint, tree: merkle.Range) -> AuditCheckpoint:
    organization_id, document = statement.organization_id, statement.document()
    signature = signing.sign(document)
    identifier = uuid7()
    made = AuditCheckpoint(
        id=identifier,
        organization_id=organization_id,
        entries=statement.entries,
        root=statement.root,
        subtrees=merkle.joined(tree),
        document=document.decode(),
        key_id=signature.key_id,
        signature=signature.value,
        object_key=object_key(organization_id, ROOM, identifier),
        made_at=statement.made_at,
    )
    # Outside first: a checkpoint of the database alone would be no evidence against who can write there.
    _keep_outside(made)
    with acting_for(organization_id):
        # Another process may have made one over the same entries; the first stays.
        AuditCheckpoint.objects.bulk_create([made], ignore_conflicts=True)
        kept: AuditCheckpoint = AuditCheckpoint.objects.get(entries=statement.entries)
        if kept.pk == identifier:
            _tell(kept)
    return kept


def _keep_outside(checkpoint: AuditCheckpoint) -> None:
    content = io.BytesIO(canonical_json(told(checkpoint)).encode())
    if settings.S3_LOCKED_BUCKET:
        until = checkpoint.made_at + LOCKED_FOR
        objects.put_locked(checkpoint.organization_id, checkpoint.object_key, content, until=until)
    else:
        objects.put(checkpoint.organization_id, checkpoint.object_key, content)


def _tell(checkpoint: AuditCheckpoint) -> None:
    emit(
        Happening(
            CHECKPOINTED,
            aggregate_id=checkpoint.organization_id,
            resource="audit_checkpoint",
            resource_id=render("checkpoint", checkpoint.id),
            payload={"told": told(checkpoint)},
        )
    )
