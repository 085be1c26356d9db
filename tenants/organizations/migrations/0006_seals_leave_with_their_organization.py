"""An organization that leaves takes the seals and checkpoints of its audit log along."""

from django.db import migrations

from kernel.tenancy.operations import ErasedWithItsOrganization

ORGANIZATIONS = "organizations_organization"


class Migration(migrations.Migration):
    dependencies = [
        ("organizations", "0004_support_access_and_erasure"),
        ("audit", "0002_seals"),
    ]

    operations = [
        ErasedWithItsOrganization("audit", "AuditSeal", organization_table=ORGANIZATIONS),
        ErasedWithItsOrganization("audit", "AuditCheckpoint", organization_table=ORGANIZATIONS),
    ]
