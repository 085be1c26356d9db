"""The beginning of an organization: its row and its first project."""

from kernel import ids
from kernel.audit.log import record
from kernel.tenancy.scope import acting_for
from tenants.organizations.models import Organization, Project
from tenants.organizations.services.projects import start_project

DEFAULT_PROJECT = "Default project"


def found_organization(name: str, *, plan: str = "free") -> tuple[Organization, Project]:
    """Create an organization and its first project; opens the new organization's scope itself."""
    organization = Organization(id=ids.uuid7(), name=name, plan=plan)
    with acting_for(organization.id):
        organization.save(force_insert=True)
        record("organization.create", organization.public_id, plan=plan)
        project = start_project(DEFAULT_PROJECT)
    return organization, project
