from django.db import migrations, models

import kernel.ids
from kernel.tenancy.operations import SystemAccess, TenantTable

# Rows of days are changed with every batch of requests: room on the page keeps them where they are.
TABLE = """
CREATE TABLE usage_usagebucket (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    grain varchar(2) NOT NULL,
    start timestamptz NOT NULL,
    family varchar(20) NOT NULL,
    project_id uuid NOT NULL,
    key_id uuid NULL,
    user_id uuid NULL,
    model varchar(250) NOT NULL,
    batch boolean NOT NULL,
    requests bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    cached_prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    cost_microunits bigint NOT NULL,
    records_gone boolean NOT NULL DEFAULT false,
    PRIMARY KEY (grain, id)
) PARTITION BY LIST (grain);
CREATE TABLE usage_usagebucket_minute PARTITION OF usage_usagebucket FOR VALUES IN ('1m');
CREATE TABLE usage_usagebucket_hour PARTITION OF usage_usagebucket FOR VALUES IN ('1h') WITH (fillfactor = 70);
CREATE TABLE usage_usagebucket_day PARTITION OF usage_usagebucket FOR VALUES IN ('1d') WITH (fillfactor = 50);
CREATE INDEX usage_by_grain ON usage_usagebucket (organization_id, grain, start);
SELECT usage_lock_partition('usage_usagebucket_minute');
SELECT usage_lock_partition('usage_usagebucket_hour');
SELECT usage_lock_partition('usage_usagebucket_day');
"""

GRAINS = [("1m", "Minute"), ("1h", "Hour"), ("1d", "Day")]
FAMILIES = [("completions", "Completions"), ("embeddings", "Embeddings"), ("moderations", "Moderations")]


def text(length: int) -> "models.CharField[str, str]":
    return models.CharField(blank=True, db_default="", default="", max_length=length)


class Migration(migrations.Migration):
    dependencies = [("usage", "0001_initial")]

    operations = [
        migrations.AddField("usagerecord", "cost_microunits", models.BigIntegerField(null=True)),
        migrations.AddField("usagerecord", "batch", models.BooleanField(default=False, db_default=False)),
        migrations.AddField("usagerecord", "permission", text(100)),
        migrations.AddField("usagerecord", "closest_limit", text(100)),
        migrations.AddField("usagerecord", "cache", text(10)),
        migrations.AddField("usagerecord", "route", text(100)),
        migrations.AddField("usagerecord", "guardrail", text(100)),
        migrations.AddField("usagerecord", "canary", text(50)),
        migrations.AddIndex(
            "usagerecord", models.Index(fields=["organization_id", "started_at"], name="usage_by_time")
        ),
        # What pods say that they generated is compared with everybody's records.
        SystemAccess("UsageRecord"),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(TABLE, "DROP TABLE usage_usagebucket")],
            state_operations=[
                migrations.CreateModel(
                    name="UsageBucket",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("organization_id", models.UUIDField(editable=False)),
                        ("grain", models.CharField(choices=GRAINS, max_length=2)),
                        ("start", models.DateTimeField()),
                        ("family", models.CharField(choices=FAMILIES, max_length=20)),
                        ("project_id", models.UUIDField()),
                        ("key_id", models.UUIDField(null=True)),
                        ("user_id", models.UUIDField(null=True)),
                        ("model", models.CharField(max_length=250)),
                        ("batch", models.BooleanField(default=False)),
                        ("requests", models.BigIntegerField()),
                        ("prompt_tokens", models.BigIntegerField()),
                        ("cached_prompt_tokens", models.BigIntegerField()),
                        ("completion_tokens", models.BigIntegerField()),
                        ("cost_microunits", models.BigIntegerField()),
                        ("records_gone", models.BooleanField(db_default=False, default=False)),
                    ],
                    options={
                        "indexes": [
                            models.Index(fields=["organization_id", "grain", "start"], name="usage_by_grain")
                        ],
                    },
                )
            ],
        ),
        TenantTable("UsageBucket", organization_table="organizations_organization", referred_to=False),
    ]
