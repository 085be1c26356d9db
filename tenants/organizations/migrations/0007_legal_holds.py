"""What may not be erased, for how long it is held, and whether an erasure needs two."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import kernel.ids
from kernel.tenancy.operations import TenantTable


class Migration(migrations.Migration):
    dependencies = [
        ("organizations", "0006_seals_leave_with_their_organization"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="organization",
            name="erasure_needs_two",
            field=models.BooleanField(default=False),
        ),
        migrations.CreateModel(
            name="LegalHold",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("organization_id", models.UUIDField(editable=False)),
                (
                    "subject_kind",
                    models.CharField(
                        choices=[("organization", "Organization"), ("person", "Person"), ("file", "File")],
                        max_length=20,
                    ),
                ),
                ("subject_id", models.UUIDField(null=True)),
                ("name", models.CharField(max_length=100)),
                ("reason", models.CharField(max_length=500)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("lifted_at", models.DateTimeField(null=True)),
                ("lifted_because", models.CharField(blank=True, max_length=500)),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "lifted_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("subject_kind", "organization"), ("subject_id__isnull", False), _connector="XOR"
                        ),
                        name="hold_names_its_subject",
                    )
                ],
            },
        ),
        TenantTable("LegalHold", organization_table="organizations_organization"),
    ]
