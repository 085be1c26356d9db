"""What people do with organizations and projects."""

from uuid import UUID

from kernel import ids
from kernel.audit.log import record
from kernel.events.outbox import Happening, emit
from kernel.tenancy.scope import acting_for
from tenants.organizations.models import Organization, Project

DEFAULT_PROJECT = "Default project"


def found_organization(name: str, *, plan: str = "free") -> tuple[Organization, Project]:
    """Create an organization and its first project; opens the new organization's scope itself."""
    organization = Organization(id=ids.uuid7(), name=name, plan=plan)
    with acting_for(organization.id):
        organization.save(force_insert=True)
        record("organization.create", organization.public_id, plan=plan)
        project = start_project(DEFAULT_PROJECT)
    return organization, project


def start_project(name: str) -> Project:
    """Create a project in the current organization, which gets its base model's deployment by event."""
    project: Project = Project.objects.create(name=name)
    record("project.create", project.public_id)
    emit(
        Happening(
            name="tenants.project.created.v1",
            aggregate_id=project.id,
            project_id=project.id,
            resource="project",
            resource_id=project.public_id,
        )
    )
    return project


def project_of(project_id: UUID) -> Project | None:
    """The project of the current organization with this id, if there is one."""
    found: Project | None = Project.objects.filter(pk=project_id).first()
    return found
