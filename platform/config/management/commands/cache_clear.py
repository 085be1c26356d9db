"""`manage.py cache_clear --organization UUID`: make an organization's kept answers unreadable, at once."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from inference.deployments import caches, services
from kernel.audit.log import Actor, acting_as
from kernel.tenancy.scope import acting_for
from tenants.organizations.models import Organization


class Command(BaseCommand):
    """Waits for no worker: the gateways are told before it ends."""

    help = "Empty an organization's cache of answers: a new secret, and the entries are dropped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--organization", type=UUID, required=True, help="its UUID")

    def handle(self, *args: Any, organization: UUID, **options: Any) -> None:
        with acting_as(Actor(request_id="manage.py cache_clear")), acting_for(organization):
            if not Organization.objects.filter(pk=organization).exists():
                raise CommandError(f"There is no organization {organization}.")
            generation = services.clear_cache()
        caches.publish(organization)
        dropped = caches.drop_entries(organization)
        self.stdout.write(f"Generation {generation.number} of the cache begins; {dropped} keys were dropped.")
