from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models.functions.datetime import Now

import kernel.ids
from kernel.tenancy.operations import SystemAccess, TenantForeignKey, TenantTable


def key() -> "models.UUIDField[Any, Any]":
    return models.UUIDField(default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False)


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("organizations", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="PromptTemplate",
            fields=[
                ("id", key()),
                ("organization_id", models.UUIDField(editable=False)),
                ("created_at", models.DateTimeField(db_default=Now())),
                ("name", models.CharField(max_length=100)),
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
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization_id", "project", "name"), name="prompt_template_name_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PromptVersion",
            fields=[
                ("id", key()),
                ("organization_id", models.UUIDField(editable=False)),
                ("number", models.PositiveIntegerField()),
                ("sealed_messages", models.BinaryField(default=b"")),
                ("created_at", models.DateTimeField(db_default=Now())),
                (
                    "template",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="versions",
                        to="prompts.prompttemplate",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization_id", "template", "number"), name="prompt_version_number_once"
                    )
                ],
            },
        ),
        TenantTable("PromptTemplate", organization_table="organizations_organization"),
        TenantForeignKey("PromptTemplate", "project"),
        TenantTable("PromptVersion", organization_table="organizations_organization"),
        TenantForeignKey("PromptVersion", "template", on_delete="CASCADE"),
        # The snapshot publishes what the deployments of all organizations pin.
        SystemAccess("PromptVersion"),
    ]
