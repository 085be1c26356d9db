"""Chains, checkpoints, and addresses that are erased with their person's key."""

import os
from typing import Any
from uuid import UUID

import django.db.models.functions.datetime
from django.db import migrations, models

import kernel.ids
from kernel.audit.canonical import SALT_BYTES, commitment
from kernel.crypto.fields import seal
from kernel.tenancy.operations import AppendOnly, SystemAccess, TenantTable
from kernel.tenancy.scope import acting_for

IDENTIFIER = models.UUIDField(default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False)
WAIT = """
CREATE FUNCTION audit_auditentry_wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO audit_unsealedentry (id, organization_id) VALUES (NEW.id, NEW.organization_id);
    RETURN NULL;
END $$;
CREATE TRIGGER wait_for_seal AFTER INSERT ON audit_auditentry
    FOR EACH ROW EXECUTE FUNCTION audit_auditentry_wait();
"""
WAIT_NO_MORE = "DROP TRIGGER wait_for_seal ON audit_auditentry; DROP FUNCTION audit_auditentry_wait();"


def outside_every_organization(schema_editor: Any, *statements: str) -> None:
    """Run the statements as the owner for whom row-level security is lifted meanwhile."""
    for table in ("audit_auditentry", "audit_unsealedentry"):
        schema_editor.execute(f'ALTER TABLE IF EXISTS "{table}" NO FORCE ROW LEVEL SECURITY')
    for statement in statements:
        schema_editor.execute(statement)
    for table in ("audit_auditentry", "audit_unsealedentry"):
        schema_editor.execute(f'ALTER TABLE IF EXISTS "{table}" FORCE ROW LEVEL SECURITY')


def seal_addresses(apps: Any, schema_editor: Any) -> None:
    """The addresses of entries that were written before, as they are kept from now on."""
    schema_editor.execute("ALTER TABLE audit_auditentry NO FORCE ROW LEVEL SECURITY")
    schema_editor.execute("ALTER TABLE audit_auditentry DISABLE TRIGGER append_only")
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT id, organization_id, actor, address FROM audit_auditentry WHERE address <> ''")
        rows = cursor.fetchall()
    for identifier, organization_id, actor, address in rows:
        person = UUID(actor.removeprefix("user-")) if actor.startswith("user-") else None
        salt = os.urandom(SALT_BYTES)
        sealed = seal(
            organization_id,
            salt + address.encode(),
            purpose="audit.entry.address",
            row_id=identifier,
            person=person or organization_id,
        )
        with acting_for(organization_id), schema_editor.connection.cursor() as cursor:
            cursor.execute(
                "UPDATE audit_auditentry SET person = %s, address_commitment = %s, sealed_address = %s"
                " WHERE id = %s",
                [person, commitment(salt, address), sealed, identifier],
            )
    schema_editor.execute("ALTER TABLE audit_auditentry ENABLE TRIGGER append_only")
    schema_editor.execute("ALTER TABLE audit_auditentry FORCE ROW LEVEL SECURITY")


def let_old_entries_wait(apps: Any, schema_editor: Any) -> None:
    """What was written before there were seals is sealed first."""
    outside_every_organization(
        schema_editor,
        "INSERT INTO audit_unsealedentry (id, organization_id) SELECT id, organization_id FROM audit_auditentry",
    )


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial"), ("crypto", "0003_own_keys_and_renewal")]

    operations = [
        migrations.AddField("AuditEntry", "person", models.UUIDField(null=True)),
        migrations.AddField("AuditEntry", "address_commitment", models.BinaryField(default=b"")),
        migrations.AddField("AuditEntry", "sealed_address", models.BinaryField(default=b"")),
        migrations.RunPython(seal_addresses, migrations.RunPython.noop),
        migrations.RemoveField("AuditEntry", "address"),
        migrations.CreateModel(
            name="UnsealedEntry",
            fields=[
                ("id", IDENTIFIER),
                ("organization_id", models.UUIDField(editable=False)),
            ],
            options={"abstract": False},
        ),
        migrations.CreateModel(
            name="AuditSeal",
            fields=[
                ("id", IDENTIFIER),
                ("organization_id", models.UUIDField(editable=False)),
                ("sequence", models.BigIntegerField()),
                ("previous_hash", models.BinaryField()),
                ("hash", models.BinaryField()),
                ("sealed_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization_id", "sequence"), name="audit_seal_place_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="AuditCheckpoint",
            fields=[
                ("id", IDENTIFIER),
                ("organization_id", models.UUIDField(editable=False)),
                ("entries", models.BigIntegerField()),
                ("root", models.BinaryField()),
                ("subtrees", models.BinaryField()),
                ("document", models.TextField()),
                ("key_id", models.CharField(max_length=64)),
                ("signature", models.BinaryField()),
                ("object_key", models.CharField(max_length=250)),
                ("made_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization_id", "entries"), name="audit_checkpoint_size_once"
                    )
                ],
            },
        ),
        TenantTable("UnsealedEntry", referred_to=False),
        TenantTable("AuditSeal", referred_to=False),
        AppendOnly("AuditSeal"),
        TenantTable("AuditCheckpoint"),
        AppendOnly("AuditCheckpoint"),
        # The sealer chains what all organizations wrote in one transaction.
        SystemAccess("AuditEntry"),
        SystemAccess("UnsealedEntry", "SELECT, INSERT, DELETE"),
        SystemAccess("AuditSeal", "SELECT, INSERT"),
        SystemAccess("AuditCheckpoint"),
        migrations.RunSQL(WAIT, WAIT_NO_MORE),
        migrations.RunPython(let_old_entries_wait, migrations.RunPython.noop),
    ]
