"""A key for each person in an organization."""

import django.db.models.functions.datetime
from django.db import migrations, models

import kernel.ids
from kernel.tenancy.operations import TenantTable


class Migration(migrations.Migration):
    dependencies = [
        ("crypto", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="PersonKey",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("organization_id", models.UUIDField(editable=False)),
                ("person", models.UUIDField()),
                ("sealed_key", models.BinaryField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("destroyed_at", models.DateTimeField(null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization_id", "person"), name="crypto_person_key_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("destroyed_at__isnull", True), ("sealed_key", b""), _connector="XOR"
                        ),
                        name="crypto_destroyed_person_is_empty",
                    ),
                ],
            },
        ),
        TenantTable("PersonKey"),
    ]
