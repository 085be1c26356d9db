import django.contrib.postgres.fields
import django.db.models.functions.datetime
from django.db import migrations, models

import kernel.ids
from kernel.tenancy.operations import SystemAccess, TenantTable


class Migration(migrations.Migration):
    dependencies = [
        ("limits", "0001_plans_and_prices"),
        ("organizations", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="SpendAlert",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("organization_id", models.UUIDField(editable=False)),
                ("project_id", models.UUIDField(null=True)),
                ("threshold_microunits", models.BigIntegerField()),
                (
                    "recipients",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.EmailField(max_length=254), size=None
                    ),
                ),
                ("subject_prefix", models.CharField(blank=True, max_length=200)),
                ("told_for", models.DateField(null=True)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="StorageReservation",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("organization_id", models.UUIDField(editable=False)),
                ("project_id", models.UUIDField()),
                ("user_id", models.UUIDField(null=True)),
                ("bytes", models.BigIntegerField()),
                ("expires_at", models.DateTimeField()),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Limit",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("organization_id", models.UUIDField(editable=False)),
                (
                    "scope",
                    models.CharField(
                        choices=[
                            ("organization", "organization"),
                            ("project", "project"),
                            ("group", "group"),
                            ("member", "member"),
                            ("key", "key"),
                        ],
                        max_length=20,
                    ),
                ),
                ("subject_id", models.UUIDField(null=True)),
                ("model", models.CharField(blank=True, default="", max_length=250)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("requests_per_minute", "requests_per_minute"),
                            ("tokens_per_minute", "tokens_per_minute"),
                            ("tokens_per_day", "tokens_per_day"),
                            ("concurrent_streams", "concurrent_streams"),
                            ("training_minutes_per_month", "training_minutes_per_month"),
                            ("storage_bytes", "storage_bytes"),
                            ("spend_microunits_per_month", "spend_microunits_per_month"),
                        ],
                        max_length=40,
                    ),
                ),
                ("value", models.BigIntegerField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("updated_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization_id", "scope", "subject_id", "model", "kind"),
                        name="limit_once",
                        nulls_distinct=False,
                    ),
                    models.CheckConstraint(condition=models.Q(("value__gte", 0)), name="limit_not_negative"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("scope", "organization"), ("subject_id__isnull", False), _connector="XOR"
                        ),
                        name="limit_names_its_subject",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ReachedThreshold",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("organization_id", models.UUIDField(editable=False)),
                ("scope", models.CharField(max_length=20)),
                ("subject_id", models.UUIDField(null=True)),
                ("kind", models.CharField(max_length=40)),
                ("period", models.DateField()),
                ("percent", models.PositiveSmallIntegerField()),
                ("reached_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization_id", "scope", "subject_id", "kind", "period", "percent"),
                        name="threshold_told_once",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Use",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("organization_id", models.UUIDField(editable=False)),
                ("kind", models.CharField(max_length=40)),
                ("period", models.DateField()),
                ("project_id", models.UUIDField()),
                ("user_id", models.UUIDField(null=True)),
                ("key_id", models.UUIDField(null=True)),
                ("amount", models.BigIntegerField(default=0)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization_id", "kind", "period", "project_id", "user_id", "key_id"),
                        name="use_once",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
        TenantTable("Limit", organization_table="organizations_organization"),
        TenantTable("Use", organization_table="organizations_organization"),
        TenantTable("StorageReservation", organization_table="organizations_organization"),
        TenantTable("SpendAlert", organization_table="organizations_organization"),
        TenantTable("ReachedThreshold", organization_table="organizations_organization"),
        # The snapshot of what is served carries the limits of all organizations and what they have used.
        SystemAccess("Limit"),
        SystemAccess("Use"),
    ]
