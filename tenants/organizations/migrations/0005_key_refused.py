"""Since when an organization's own encryption key refuses its use."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("organizations", "0004_support_access_and_erasure"),
    ]

    operations = [
        migrations.AddField(
            model_name="organization",
            name="key_refused_at",
            field=models.DateTimeField(null=True),
        ),
    ]
