"""What the registry can tell of the deployment: what models are made of."""

from kernel.ports.evidence import Fact, tells
from training.registry.models import ModelVersion


@tells("lineage")
def lineage() -> Fact:
    """Model versions of which it is known what they learned from."""
    models = ModelVersion.objects.all()
    count, known = models.count(), models.exclude(lineage__dataset_version_id=None).count()
    return Fact(
        title="Model versions that name the dataset version they learned from",
        value=f"{known} of {count}",
        met=known == count if count else None,
        how="the lineage of every model version of the organization",
    )
