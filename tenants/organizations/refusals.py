"""Why nothing may be done in an organization or project, and which models a project may use."""

from collections.abc import Collection

from kernel.errors import DomainError
from tenants.organizations.models import Organization, OrganizationState, Project


class OrganizationRefused(DomainError):
    """The organization is not active; the subclasses say why."""

    code, status = "organization_inactive", 403


class OrganizationSuspended(OrganizationRefused):
    """The operator suspended it."""

    code = "organization_suspended"
    message = "This organization is suspended; its owners can ask the platform's operator why."


class OrganizationClosing(OrganizationRefused):
    """Its owner closes it; until the grace period ends that can be undone."""

    code = "organization_closing"
    message = "This organization is being closed; an owner can still undo that in the console."


class OrganizationClosed(OrganizationRefused):
    """It is no more."""

    code = "organization_closed"
    message = "This organization is closed."


class OwnKeyRefused(OrganizationRefused):
    """Its own encryption key may not be used at the moment: nothing of it can be read."""

    code, status = "key_unavailable", 503
    message = (
        "The organization's own encryption key refuses its use; whoever manages that key can allow it again."
    )
    retry_after_seconds = 60


class ProjectArchived(DomainError):
    """The project is archived: nothing is done in it any more."""

    code, status = "project_archived", 403
    message = "This project is archived; nothing can be done in it or changed any more."


class ModelNotAllowed(DomainError):
    """The project or the key may not use the model, whether or not there is one. OpenAI answers the same."""

    code, status = "model_not_found", 403


_BY_STATE: dict[str, type[OrganizationRefused]] = {
    OrganizationState.SUSPENDED.value: OrganizationSuspended,
    OrganizationState.CLOSING.value: OrganizationClosing,
    OrganizationState.CLOSED.value: OrganizationClosed,
}
ACTIVE = "active"


def refusal_of(organization: Organization, project: Project | None = None) -> DomainError | None:
    """Why programs are refused in the organization, or in the project; None where they are not."""
    if (refusal := refusal_in(organization.state, organization.state_reason)) is not None:
        return refusal
    if organization.key_refused_at is not None:
        return OwnKeyRefused()
    return ProjectArchived() if project is not None and project.archived_at is not None else None


def refusal_in(state: str, reason: str) -> DomainError | None:
    """Why next to nothing may be done in an organization in this state; None where it is active."""
    if state == OrganizationState.ACTIVE:
        return None
    if state == OrganizationState.SUSPENDED and reason:
        return OrganizationSuspended(f"This organization is suspended by the platform's operator: {reason}")
    return _BY_STATE.get(state, OrganizationRefused)()


def require_model(project: Project, model: str, *, allowed: Collection[str] = ()) -> None:
    """Raises `ModelNotAllowed` where the project's list, or the caller's key (`allowed`), leaves it out."""
    listed, mode = project.model_list, project.model_list_mode
    if listed is not None and (model in listed) == (mode == "deny_list"):
        raise ModelNotAllowed(
            f"Project `{project.public_id}` does not have access to model `{model[:200]}`.", param="model"
        )
    if allowed and model not in allowed:
        raise ModelNotAllowed(f"This API key does not have access to model `{model[:200]}`.", param="model")
