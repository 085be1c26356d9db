"""The table of stored responses."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import kernel.ids
from kernel.tenancy.operations import TenantForeignKey, TenantTable


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("organizations", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="StoredResponse",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("organization_id", models.UUIDField(editable=False)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("key_id", models.UUIDField(null=True)),
                ("model", models.CharField(max_length=256)),
                ("thread_id", models.UUIDField()),
                ("previous_id", models.UUIDField(null=True)),
                ("sealed_items", models.BinaryField(default=b"")),
                ("sealed_body", models.BinaryField(default=b"")),
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
                    "project",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="organizations.project",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="storedresponse",
            index=models.Index(fields=["organization_id", "project", "thread_id"], name="response_by_thread"),
        ),
        TenantTable("StoredResponse", organization_table="organizations_organization", referred_to=False),
        TenantForeignKey("StoredResponse", "project"),
    ]
