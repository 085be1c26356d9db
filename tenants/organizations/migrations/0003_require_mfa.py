from django.db import migrations, models

# Whoever was here before there were plans keeps having no bounds. The owner must see all rows to say so.
UNBOUND = """
ALTER TABLE organizations_organization NO FORCE ROW LEVEL SECURITY;
UPDATE organizations_organization SET plan = 'self_hosted';
ALTER TABLE organizations_organization FORCE ROW LEVEL SECURITY;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("organizations", "0002_organization_states"),
    ]

    operations = [
        migrations.AddField(
            model_name="organization",
            name="require_mfa",
            field=models.BooleanField(default=False),
        ),
        migrations.RunSQL(UNBOUND, migrations.RunSQL.noop),
    ]
