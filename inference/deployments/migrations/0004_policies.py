import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions.datetime import Now

import kernel.ids
from kernel.tenancy.operations import SystemAccess, TenantForeignKey, TenantTable


class Migration(migrations.Migration):
    dependencies = [
        ("deployments", "0003_cache"),
        ("prompts", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="DeploymentPolicy",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("organization_id", models.UUIDField(editable=False)),
                ("sealed_document", models.BinaryField(default=b"")),
                ("updated_at", models.DateTimeField(db_default=Now())),
                (
                    "deployment",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="policies",
                        to="deployments.deployment",
                    ),
                ),
                (
                    "prompt_version",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="prompts.promptversion",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization_id", "deployment"), name="one_policy_of_a_deployment"
                    )
                ],
            },
        ),
        TenantTable("DeploymentPolicy", organization_table="organizations_organization", referred_to=False),
        TenantForeignKey("DeploymentPolicy", "deployment", on_delete="CASCADE"),
        TenantForeignKey("DeploymentPolicy", "prompt_version"),
        # The snapshot publishes the policies of all organizations.
        SystemAccess("DeploymentPolicy"),
    ]
