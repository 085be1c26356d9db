"""Batches under way on rows that are erased, or whose answers name the person: they end, their answers go."""

from collections.abc import Iterator, Sequence

from inference.batches import states
from inference.batches.execution import parts
from inference.batches.lines import Fault
from inference.batches.models import AT_WORK, Batch, BatchPart
from kernel import ids
from kernel.ports.erasure import Beat, Fate, Keeper, Subject, Trace, keeps
from kernel.storage import objects
from kernel.tenancy.scope import acting_for
from tenants.datasets.formats.raw import raw_rows

KIND = "batches"


@keeps
class BatchesUnderWay(Keeper):
    """What ended is in files, which are looked through as files; whoever made a batch makes it again."""

    name = "batches"

    def find(self, subject: Subject, found: Sequence[Trace], beat: Beat) -> Iterator[Trace]:
        """By the input files in which rows were found, and by the answers that are there."""
        if not subject.words and not subject.rows:
            return
        # Only rows of files have places that are files.
        places = {trace.place for trace in found}
        with acting_for(subject.organization_id):
            under_way = list(Batch.objects.filter(state__in=AT_WORK).order_by("pk"))
        for batch in under_way:
            beat()
            if ids.render("file", batch.input_file_id) in places or _is_named(subject, batch, beat):
                yield Trace(
                    kind=KIND,
                    place=batch.public_id,
                    count=1,
                    fate=Fate.CANCELLED,
                    because="Its requests or answers name the person.",
                )

    def erase(self, subject: Subject, traces: Sequence[Trace], beat: Beat) -> None:
        """End them and remove the answers that are there. Raises `StorageUnavailable`."""
        for trace in traces:
            beat()
            with acting_for(subject.organization_id):
                batch = Batch.objects.select_for_update().filter(pk=ids.parse("batch", trace.place)).first()
                if batch is None or batch.has_ended:
                    continue
                states.give_up(batch, _erased())
            parts.remove(subject.organization_id, batch.pk)


def _is_named(subject: Subject, batch: Batch, beat: Beat) -> bool:
    with acting_for(subject.organization_id):
        keys = list(BatchPart.objects.filter(batch=batch).values_list("object_key", flat=True))
    for key in keys:
        for row in raw_rows(objects.open_object(subject.organization_id, key), is_table=False):
            beat()
            if any(subject.is_named_in(text) for text in row.texts):
                return True
    return False


def _erased() -> Fault:
    return Fault(
        "rows_erased",
        "Rows of the batch were erased on demand; make it again on the file that replaces its input.",
        "input_file_id",
    )
