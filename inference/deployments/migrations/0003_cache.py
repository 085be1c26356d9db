from django.db import migrations, models
from django.db.models.functions.datetime import Now

import kernel.ids
from kernel.tenancy.operations import SystemAccess, TenantTable


class Migration(migrations.Migration):
    dependencies = [
        ("deployments", "0002_restricted"),
        ("organizations", "0001_initial"),
    ]

    operations = [
        migrations.AddField(model_name="deployment", name="caches", field=models.BooleanField(default=True)),
        migrations.CreateModel(
            name="CacheGeneration",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("organization_id", models.UUIDField(editable=False)),
                ("number", models.PositiveIntegerField(default=1)),
                ("cleared_at", models.DateTimeField(db_default=Now())),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("organization_id",), name="cache_generation_once")
                ],
            },
        ),
        TenantTable("CacheGeneration", organization_table="organizations_organization", referred_to=False),
        # The snapshot compares the caches of all organizations.
        SystemAccess("CacheGeneration"),
    ]
