"""`manage.py create_organization`: another organization, with its owner and a first API key."""

import getpass
import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from kernel.audit.log import Actor, acting_as
from kernel.errors import DomainError
from kernel.tenancy.scope import acting_for
from tenants.access.permissions import Role
from tenants.access.services import keys, people
from tenants.limits.models import UNLIMITED_PLAN
from tenants.organizations.services.founding import found_organization


class Command(BaseCommand):
    """Prints the new organization's ids and key as JSON."""

    help = "Create an organization, its owner (the password is asked for or read from a pipe) and a key."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="what the organization is called")
        parser.add_argument("email", help="the owner's address")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            owner = people.register_user(options["email"], _password())
        except DomainError as fault:
            raise CommandError(fault.message) from None
        with acting_as(Actor(request_id="manage.py create_organization")):
            organization, project = found_organization(options["name"], plan=UNLIMITED_PLAN)
            with acting_for(organization.pk):
                people.add_member(owner, Role.OWNER)
                key = keys.make_api_key("First key", project=project, by=owner)
        made = {
            "organization_id": organization.public_id,
            "project_id": project.public_id,
            "email": owner.email,
            "api_key": key.secret,
        }
        self.stdout.write(json.dumps(made))


def _password() -> str:
    """Asked for at a terminal, without echo; a pipe's first line otherwise."""
    if sys.stdin.isatty():
        return getpass.getpass("Password of the owner: ")
    return sys.stdin.readline().rstrip("\n")
