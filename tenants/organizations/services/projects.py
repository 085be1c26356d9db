"""What people do with projects: start, rename, archive."""

from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from kernel.audit.log import record
from kernel.errors import Conflict, InvalidRequest
from kernel.events.outbox import Happening, emit
from tenants.organizations.models import Project
from tenants.organizations.refusals import ProjectArchived

CREATED = "tenants.project.created.v1"
CHANGED = "tenants.project.changed.v1"
ARCHIVED = "tenants.project.archived.v1"
MAX_NAME_CHARACTERS = 100


class NameTaken(Conflict):
    """Two projects of an organization cannot have one name."""

    code = "name_taken"


def start_project(name: str) -> Project:
    """Create a project in the current organization, which gets its base model's deployment by event.

    Raises `InvalidRequest` for a bad name, `NameTaken`.
    """
    name = valid_name(name)
    try:
        with transaction.atomic():
            project: Project = Project.objects.create(name=name)
    except IntegrityError:
        raise NameTaken(f"There is a project '{name}' already; choose another name.", param="name") from None
    project.refresh_from_db()
    record("project.create", project.public_id, name=name)
    tell(CREATED, project)
    return project


def rename_project(project: Project, name: str) -> None:
    """Give a project another name. Raises `InvalidRequest`, `NameTaken`, `ProjectArchived`."""
    name, before = valid_name(name), project.name
    require_live(project)
    if name == before:
        return
    project.name = name
    try:
        with transaction.atomic():
            project.save(update_fields=["name"])
    except IntegrityError:
        raise NameTaken(f"There is a project '{name}' already; choose another name.", param="name") from None
    record("project.update", project.public_id, before={"name": before}, after={"name": name})
    tell(CHANGED, project)


def archive_project(project: Project) -> None:
    """End all work in a project at once; nothing is deleted. Archiving it again changes nothing."""
    if not Project.objects.filter(pk=project.pk, archived_at=None).update(archived_at=Now()):
        return
    project.refresh_from_db()
    record("project.archive", project.public_id, name=project.name)
    tell(ARCHIVED, project)


def project_of(project_id: UUID) -> Project | None:
    """The project of the current organization with this id, if there is one."""
    found: Project | None = Project.objects.filter(pk=project_id).first()
    return found


def require_live(project: Project) -> None:
    """Raises `ProjectArchived` where the project is archived."""
    if project.archived_at is not None:
        raise ProjectArchived


def tell(name: str, project: Project) -> None:
    """Say what happened to a project; gateways and consoles follow."""
    emit(
        Happening(
            name=name,
            aggregate_id=project.pk,
            project_id=project.pk,
            resource="project",
            resource_id=project.public_id,
        )
    )


def valid_name(name: str) -> str:
    """The name without blanks around it. Raises `InvalidRequest` where it is empty, long or unprintable."""
    name = name.strip()
    if not 0 < len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
        raise InvalidRequest(
            f"'name' must have 1 to {MAX_NAME_CHARACTERS} printable characters.", param="name"
        )
    return name
