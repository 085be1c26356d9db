from django.db import migrations, models

import kernel.ids
from kernel.tenancy.operations import TenantTable

TABLE = """
CREATE TABLE usage_usagerecord (
    id uuid NOT NULL PRIMARY KEY,
    organization_id uuid NOT NULL,
    project_id uuid NOT NULL,
    key_id uuid NULL,
    user_id uuid NULL,
    deployment_id uuid NOT NULL,
    model_version_id uuid NULL,
    model varchar(250) NOT NULL,
    digest varchar(64) NOT NULL,
    surface varchar(50) NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    status varchar(20) NOT NULL,
    finish_reason varchar(20) NOT NULL,
    started_at timestamptz NOT NULL,
    first_token_ms double precision NULL,
    duration_ms double precision NOT NULL
) PARTITION BY RANGE (id);
CREATE INDEX usage_by_project ON usage_usagerecord (organization_id, project_id, id);
"""

# A partition reached by its own name obeys its own policies only, so each one gets them.
LOCK_PARTITION = """
CREATE FUNCTION usage_lock_partition(partition text) RETURNS void LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', partition);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', partition);
    EXECUTE format('CREATE POLICY tenant ON %I USING (organization_id = '
        || 'NULLIF(current_setting(''app.organization_id'', true), '''')::uuid) WITH CHECK (organization_id = '
        || 'NULLIF(current_setting(''app.organization_id'', true), '''')::uuid)', partition);
END $$;
REVOKE EXECUTE ON FUNCTION usage_lock_partition(text) FROM PUBLIC;
"""

FIRST_ID = """
CREATE FUNCTION usage_first_id(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE
SET search_path = public, pg_temp AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;
"""

# The application's role may not make tables: the function does, as its owner. Records that came before
# their month had a partition wait in the default one, and move; the owner must see them to do so.
MAKE_PARTITIONS = """
CREATE FUNCTION usage_make_partitions(months_ahead integer) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    month timestamptz := date_trunc('month', now(), 'UTC');
    partition text;
    low uuid;
    high uuid;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(7203115);
    FOR step IN 0..least(months_ahead, 24) LOOP
        partition := 'usage_usagerecord_' || to_char(month AT TIME ZONE 'UTC', '"y"YYYY"m"MM');
        low := usage_first_id(month);
        month := date_add(month, '1 month', 'UTC');
        high := usage_first_id(month);
        CONTINUE WHEN to_regclass('public.' || partition) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I (LIKE usage_usagerecord INCLUDING DEFAULTS)', partition);
        ALTER TABLE usage_usagerecord_default NO FORCE ROW LEVEL SECURITY;
        EXECUTE format('WITH moved AS (DELETE FROM usage_usagerecord_default WHERE id >= %L AND id < %L '
            || 'RETURNING *) INSERT INTO %I SELECT * FROM moved', low, high, partition);
        ALTER TABLE usage_usagerecord_default FORCE ROW LEVEL SECURITY;
        PERFORM usage_lock_partition(partition);
        EXECUTE format('ALTER TABLE usage_usagerecord ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
            partition, low, high);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;
REVOKE EXECUTE ON FUNCTION usage_make_partitions(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION usage_make_partitions(integer) TO loomworks_app;
"""

FIRST_PARTITIONS = """
CREATE TABLE usage_usagerecord_default PARTITION OF usage_usagerecord DEFAULT;
SELECT usage_lock_partition('usage_usagerecord_default');
SELECT usage_make_partitions(3);
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [("organizations", "0001_initial")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(TABLE, "DROP TABLE usage_usagerecord")],
            state_operations=[
                migrations.CreateModel(
                    name="UsageRecord",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("organization_id", models.UUIDField(editable=False)),
                        ("project_id", models.UUIDField()),
                        ("key_id", models.UUIDField(null=True)),
                        ("user_id", models.UUIDField(null=True)),
                        ("deployment_id", models.UUIDField()),
                        ("model_version_id", models.UUIDField(null=True)),
                        ("model", models.CharField(max_length=250)),
                        ("digest", models.CharField(max_length=64)),
                        ("surface", models.CharField(max_length=50)),
                        ("prompt_tokens", models.BigIntegerField()),
                        ("completion_tokens", models.BigIntegerField()),
                        ("status", models.CharField(max_length=20)),
                        ("finish_reason", models.CharField(blank=True, max_length=20)),
                        ("started_at", models.DateTimeField()),
                        ("first_token_ms", models.FloatField(null=True)),
                        ("duration_ms", models.FloatField()),
                    ],
                    options={
                        "indexes": [
                            models.Index(
                                fields=["organization_id", "project_id", "id"], name="usage_by_project"
                            )
                        ],
                    },
                )
            ],
        ),
        TenantTable("UsageRecord", organization_table="organizations_organization"),
        migrations.RunSQL(LOCK_PARTITION, "DROP FUNCTION usage_lock_partition(text)"),
        migrations.RunSQL(FIRST_ID, "DROP FUNCTION usage_first_id(timestamptz)"),
        migrations.RunSQL(MAKE_PARTITIONS, "DROP FUNCTION usage_make_partitions(integer)"),
        migrations.RunSQL(FIRST_PARTITIONS, migrations.RunSQL.noop),
    ]
