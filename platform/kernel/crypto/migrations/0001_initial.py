"""The organizations' wrapped keys."""

import django.db.models.functions.datetime
from django.db import migrations, models

import kernel.ids
from kernel.tenancy.operations import TenantTable


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="OrganizationKey",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("organization_id", models.UUIDField(editable=False)),
                ("version", models.PositiveIntegerField()),
                ("wrapped_key", models.BinaryField()),
                ("provider_key_id", models.CharField(max_length=512)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("destroyed_at", models.DateTimeField(null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("organization_id", "version"), name="crypto_key_version"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("destroyed_at__isnull", True), ("wrapped_key", b""), _connector="XOR"
                        ),
                        name="crypto_destroyed_is_empty",
                    ),
                ],
            },
        ),
        TenantTable("OrganizationKey"),
    ]
