"""Keys that organizations bring, keys for people, master keys that are to be destroyed, re-encryption."""

import django.db.models.functions.datetime
from django.db import migrations, models

import kernel.ids
from kernel.tenancy.operations import SystemAccess, TenantTable


class Migration(migrations.Migration):
    dependencies = [
        ("crypto", "0002_person_keys"),
    ]

    operations = [
        migrations.CreateModel(
            name="OwnKey",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("organization_id", models.UUIDField(editable=False)),
                (
                    "provider",
                    models.CharField(choices=[("aws_kms", "AWS KMS"), ("vault", "Vault")], max_length=10),
                ),
                ("key", models.CharField(max_length=512)),
                ("role", models.CharField(blank=True, max_length=512)),
                ("address", models.CharField(blank=True, max_length=2048)),
                ("mount", models.CharField(blank=True, max_length=200)),
                ("namespace", models.CharField(blank=True, max_length=200)),
                ("sealed_token", models.BinaryField(default=b"")),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("answered_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("refused_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="ReEncryption",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("organization_id", models.UUIDField(editable=False)),
                (
                    "state",
                    models.CharField(
                        choices=[("running", "Running"), ("cancelled", "Cancelled"), ("done", "Done")],
                        default="running",
                        max_length=10,
                    ),
                ),
                ("place", models.CharField(blank=True, max_length=1200)),
                ("passes", models.PositiveIntegerField(default=1)),
                ("seen", models.BigIntegerField(default=0)),
                ("moved", models.BigIntegerField(default=0)),
                ("left_in_pass", models.BigIntegerField(default=0)),
                ("unreadable", models.BigIntegerField(default=0)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("finished_at", models.DateTimeField(null=True)),
                ("lease_until", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="RetiredRoot",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=kernel.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("organization_id", models.UUIDField(editable=False)),
                ("root", models.CharField(max_length=512)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "abstract": False,
            },
        ),
        TenantTable("OwnKey"),
        SystemAccess("OwnKey"),
        TenantTable("ReEncryption"),
        SystemAccess("ReEncryption"),
        TenantTable("RetiredRoot"),
        SystemAccess("RetiredRoot"),
        SystemAccess("OrganizationKey"),
        SystemAccess("PersonKey"),
        migrations.RemoveConstraint(
            model_name="organizationkey",
            name="crypto_key_version",
        ),
        migrations.AddField(
            model_name="organizationkey",
            name="own_key_id",
            field=models.UUIDField(null=True),
        ),
        migrations.AddField(
            model_name="organizationkey",
            name="purpose",
            field=models.CharField(
                choices=[("content", "Content"), ("people", "People")], default="content", max_length=10
            ),
        ),
        migrations.AddField(
            model_name="personkey",
            name="destroyed_under",
            field=models.UUIDField(null=True),
        ),
        migrations.AddConstraint(
            model_name="organizationkey",
            constraint=models.UniqueConstraint(
                fields=("organization_id", "purpose", "version"), name="crypto_key_version"
            ),
        ),
        migrations.AddConstraint(
            model_name="ownkey",
            constraint=models.UniqueConstraint(fields=("organization_id",), name="crypto_own_key_once"),
        ),
        migrations.AddConstraint(
            model_name="reencryption",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "running")),
                fields=("organization_id",),
                name="crypto_one_reencryption",
            ),
        ),
    ]
