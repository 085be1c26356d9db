"""What happens to files, told through the outbox."""

from kernel.events.outbox import Happening, emit
from tenants.datasets.models import File


def tell(name: str, file: File, **payload: str | None) -> None:
    """Emit an event of a file."""
    emit(
        Happening(
            name=name,
            aggregate_id=file.pk,
            project_id=file.project_id,
            resource="file",
            resource_id=file.public_id,
            payload={"file_id": str(file.pk), **payload},
        )
    )
