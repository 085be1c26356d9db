"""Model versions that learned from rows which are erased: named, so that they are made again."""

from collections.abc import Iterator, Sequence

from django.db.models import Q

from kernel.ports.erasure import Beat, Fate, Keeper, Subject, Trace, keeps
from kernel.tenancy.scope import acting_for
from training.registry.models import ModelVersion


@keeps
class TrainedModels(Keeper):
    """Weights cannot be made to forget a row: the model is made again without it."""

    name = "model versions"

    def find(self, subject: Subject, found: Sequence[Trace], beat: Beat) -> Iterator[Trace]:
        """By lineage: the versions made of a dataset version or file in which rows were found."""
        learned = Q(pk__in=())
        for trace in found:
            if versions := trace.details.get("dataset_versions"):
                learned |= Q(lineage__dataset_version_id__in=versions)
                learned |= Q(lineage__file_id=trace.place)
        with acting_for(subject.organization_id):
            models = list(ModelVersion.objects.filter(learned).order_by("pk"))
        for model in models:
            yield Trace(
                kind="model versions",
                place=model.public_id,
                count=1,
                fate=Fate.RETRAIN,
                because=f"It learned from {model.lineage.get('dataset_version_id')}.",
                details={"name": model.name, "dataset_version": model.lineage.get("dataset_version_id")},
            )

    def erase(self, subject: Subject, traces: Sequence[Trace], beat: Beat) -> None:
        """Nothing of it can be erased."""
