"""What people do with projects: start, rename, archive, and say which models and what retention they have."""

from collections.abc import Sequence
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
MAX_LISTED_MODELS = 1000
MAX_MODEL_CHARACTERS = 200
ALLOW_LIST, DENY_LIST = "allow_list", "deny_list"
MODES = (ALLOW_LIST, DENY_LIST)
RETENTIONS = (
    "organization_default",
    "none",
    "zero_data_retention",
    "modified_abuse_monitoring",
    "enhanced_zero_data_retention",
    "enhanced_modified_abuse_monitoring",
)


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


def list_models(project: Project, mode: str, model_ids: Sequence[str]) -> None:
    """Say which models the project may use: only those listed, or all but those.

    Raises `InvalidRequest`, `ProjectArchived`.
    """
    require_live(project)
    wanted = list(dict.fromkeys(model_ids))
    if mode not in MODES:
        raise InvalidRequest(f"'mode' must be one of {', '.join(MODES)}.", param="mode")
    if len(wanted) > MAX_LISTED_MODELS or not all(_is_model_name(one) for one in wanted):
        raise InvalidRequest(
            f"'model_ids' must be up to {MAX_LISTED_MODELS} names of 1 to {MAX_MODEL_CHARACTERS} characters.",
            param="model_ids",
        )
    _change_models(project, mode, wanted)


def unlist_models(project: Project) -> bool:
    """Let the project use every model of its own again; answers whether that changed anything."""
    require_live(project)
    if project.model_list is None:
        return False
    _change_models(project, "", None)
    return True


def change_retention(project: Project, retention: str) -> None:
    """Say what is kept of the project's requests. Raises `InvalidRequest`, `ProjectArchived`."""
    require_live(project)
    if retention not in RETENTIONS:
        raise InvalidRequest(
            f"'retention_type' must be one of {', '.join(RETENTIONS)}.", param="retention_type"
        )
    before, project.data_retention = project.data_retention, retention
    project.save(update_fields=["data_retention"])
    change = {"before": {"data_retention": before}, "after": {"data_retention": retention}}
    record("project.update", project.public_id, **change)
    tell(CHANGED, project)


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


def _is_model_name(name: str) -> bool:
    return 0 < len(name) <= MAX_MODEL_CHARACTERS and name.isprintable()


def _change_models(project: Project, mode: str, model_ids: list[str] | None) -> None:
    before = {"mode": project.model_list_mode, "model_ids": project.model_list}
    project.model_list_mode, project.model_list = mode, model_ids
    project.save(update_fields=["model_list_mode", "model_list"])
    after = {"mode": mode, "model_ids": model_ids}
    record("project.update", project.public_id, before=before, after=after)
    tell(CHANGED, project)
