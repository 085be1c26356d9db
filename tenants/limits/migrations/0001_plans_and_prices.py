import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import kernel.ids
from kernel.tenancy.operations import AppendOnly, SystemAccess

# An installation's own people are not tried out: what is made on the machine has no bounds.
PLANS = """
INSERT INTO limits_plan (name, title, seats, limits) VALUES
    ('self_hosted', 'Without bounds', NULL, '{}'),
    ('free', 'Trial', 10, '{"requests_per_minute": 120, "tokens_per_minute": 100000,
        "tokens_per_day": 1000000, "concurrent_streams": 8, "training_minutes_per_month": 60,
        "storage_bytes": 1073741824}');
INSERT INTO limits_platformpolicy (id, sign_up_mode, trial_plan_id, trials_per_day)
    VALUES (1, 'open', 'free', 100);
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Plan",
            fields=[
                ("name", models.SlugField(primary_key=True, serialize=False)),
                ("title", models.CharField(max_length=100)),
                ("seats", models.PositiveIntegerField(null=True)),
                ("limits", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name="PlatformEntry",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("occurred_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("actor", models.CharField(max_length=60)),
                ("action", models.CharField(max_length=60)),
                ("target", models.CharField(max_length=60)),
                ("details", models.JSONField(default=dict)),
            ],
        ),
        migrations.CreateModel(
            name="Price",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("model", models.CharField(max_length=250)),
                ("currency", models.CharField(default="USD", max_length=3)),
                ("input_microunits_per_million_tokens", models.BigIntegerField()),
                ("output_microunits_per_million_tokens", models.BigIntegerField()),
                ("training_microunits_per_million_tokens", models.BigIntegerField(default=0)),
                ("training_microunits_per_minute", models.BigIntegerField(default=0)),
                ("valid_from", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("model", "valid_from"), name="one_price_at_a_time"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("input_microunits_per_million_tokens__gte", 0),
                            ("output_microunits_per_million_tokens__gte", 0),
                            ("training_microunits_per_million_tokens__gte", 0),
                            ("training_microunits_per_minute__gte", 0),
                        ),
                        name="price_not_negative",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PlatformPolicy",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                (
                    "sign_up_mode",
                    models.CharField(
                        choices=[("open", "Open"), ("invite_only", "Invite Only"), ("off", "Off")],
                        default="open",
                        max_length=20,
                    ),
                ),
                ("trials_per_day", models.PositiveIntegerField(null=True)),
                (
                    "trial_plan",
                    models.ForeignKey(
                        default="free",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="limits.plan",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="one_platform_policy")
                ],
            },
        ),
        AppendOnly("PlatformEntry"),
        SystemAccess("Plan", shared=True),
        SystemAccess("Price", shared=True),
        migrations.RunSQL(PLANS, migrations.RunSQL.noop),
    ]
