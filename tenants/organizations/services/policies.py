"""What is kept of requests, in an organization and in a project, and which models a project may use."""

from collections.abc import Collection, Sequence

from kernel.audit.log import record
from kernel.errors import InvalidRequest
from kernel.tenancy.scope import current_organization_id
from tenants.organizations.models import Organization, Project
from tenants.organizations.services import lifecycle
from tenants.organizations.services.projects import CHANGED, require_live, tell

MAX_LISTED_MODELS = 1000
MAX_MODEL_CHARACTERS = 200
ALLOW_LIST, DENY_LIST = "allow_list", "deny_list"
MODES = (ALLOW_LIST, DENY_LIST)
RETENTIONS = (
    "zero_data_retention",
    "modified_abuse_monitoring",
    "enhanced_zero_data_retention",
    "enhanced_modified_abuse_monitoring",
)
# A project may also follow its organization, or have no control of its own.
FOLLOWING = "organization_default"
PROJECT_RETENTIONS = (FOLLOWING, "none", *RETENTIONS)
# Whoever chose one of these wants nothing of a request stored.
KEEPING_NOTHING = frozenset({"zero_data_retention", "enhanced_zero_data_retention"})


def list_models(project: Project, mode: str, model_ids: Sequence[str]) -> None:
    """Say which models the project may use: only those listed, or all but those.

    Raises `InvalidRequest`, `ProjectArchived`.
    """
    require_live(project)
    wanted = list(dict.fromkeys(model_ids))
    _require_one_of(mode, MODES, "mode")
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


def stores_requests(organization: Organization, project: Project) -> bool:
    """Whether the project's data retention lets requests and their answers be stored for those who ask."""
    follows = project.data_retention == FOLLOWING
    retention = organization.data_retention if follows else project.data_retention
    return retention not in KEEPING_NOTHING


def change_project_retention(project: Project, retention: str) -> None:
    """Say what is kept of the project's requests. Raises `InvalidRequest`, `ProjectArchived`."""
    require_live(project)
    _require_one_of(retention, PROJECT_RETENTIONS, "retention_type")
    before, project.data_retention = project.data_retention, retention
    project.save(update_fields=["data_retention"])
    change = {"before": {"data_retention": before}, "after": {"data_retention": retention}}
    record("project.update", project.public_id, **change)
    tell(CHANGED, project)


def change_retention(retention: str) -> Organization:
    """Say what is kept of the current organization's requests. Raises `InvalidRequest`."""
    _require_one_of(retention, RETENTIONS, "retention_type")
    organization = Organization.objects.select_for_update(no_key=True).get(pk=current_organization_id())
    before, organization.data_retention = organization.data_retention, retention
    organization.save(update_fields=["data_retention"])
    change = {"before": {"data_retention": before}, "after": {"data_retention": retention}}
    record("organization.update", organization.public_id, **change)
    lifecycle.tell(lifecycle.CHANGED, organization)
    return organization


def _require_one_of(value: str, known: Collection[str], param: str) -> None:
    if value not in known:
        raise InvalidRequest(f"'{param}' must be one of {', '.join(known)}.", param=param)


def _is_model_name(name: str) -> bool:
    return 0 < len(name) <= MAX_MODEL_CHARACTERS and name.isprintable()


def _change_models(project: Project, mode: str, model_ids: list[str] | None) -> None:
    before = {"mode": project.model_list_mode, "model_ids": project.model_list}
    project.model_list_mode, project.model_list = mode, model_ids
    project.save(update_fields=["model_list_mode", "model_list"])
    after = {"mode": mode, "model_ids": model_ids}
    record("project.update", project.public_id, before=before, after=after)
    tell(CHANGED, project)
