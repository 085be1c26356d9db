"""The rows that are a person's, in every table: deleted, emptied or kept, as the table declares."""

from collections.abc import Iterator, Sequence

from kernel.ports.erasure import Beat, Fate, Keeper, Subject, Trace
from kernel.ports.holdings import Erasure
from kernel.tenancy.scope import acting_for
from tenants.compliance import holdings

FATES = {
    Erasure.DELETED: Fate.ERASED,
    Erasure.SHREDDED: Fate.ERASED,
    Erasure.CLEARED: Fate.CLEARED,
    Erasure.KEPT: Fate.KEPT,
}


class RowsAboutPeople(Keeper):
    """Not registered: it comes last, when all that hangs on the rows is gone."""

    name = "tables"

    def find(self, subject: Subject, found: Sequence[Trace], beat: Beat) -> Iterator[Trace]:
        """Count them, by table."""
        for model in holdings.tables_in_order():
            beat()
            holding = model.holding
            with acting_for(subject.organization_id):
                count = model.objects.filter(holdings.still_about(model, subject)).count()
            if count:
                yield Trace(
                    kind=holding.kind,
                    place=model._meta.label_lower,
                    count=count,
                    fate=FATES[holding.erased],
                    because=holding.because,
                )

    def erase(self, subject: Subject, traces: Sequence[Trace], beat: Beat) -> None:
        """Delete or empty them. Raises `StorageUnavailable`."""
        for model in holdings.tables_in_order():
            which = holdings.still_about(model, subject)
            if model.holding.erased in (Erasure.DELETED, Erasure.SHREDDED):
                for rows in holdings.batches(subject.organization_id, model, which, beat):
                    holdings.remove(subject.organization_id, rows)
            elif model.holding.erased is Erasure.CLEARED:
                beat()
                with acting_for(subject.organization_id):
                    holdings.clear(model, which, subject.addresses)


ROWS = RowsAboutPeople()
