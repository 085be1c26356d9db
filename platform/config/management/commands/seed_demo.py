"""`manage.py seed_demo`: the demo organization of one machine, and what every start registers."""

import json
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from kernel.audit.log import Actor, acting_as
from kernel.storage import objects
from kernel.tenancy.scope import acting_for
from tenants.access.models import User
from tenants.access.permissions import Role
from tenants.access.services import keys, people
from tenants.limits.models import UNLIMITED_PLAN
from tenants.organizations.services.founding import found_organization
from training.registry.services import register_base_models

EMAIL = "demo@loomworks.example"
ORGANIZATION = "Demo organization"


class Command(BaseCommand):
    """Prints the demo's address, sign-in and key as JSON; makes them the first time."""

    help = "Register the base models, make the bucket, and create the demo organization once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", required=True, help="the address at which the console answers")
        parser.add_argument("--previous", type=Path, help="the file written by an earlier start")

    def handle(self, *args: Any, **options: Any) -> None:
        objects.ensure_bucket()
        register_base_models(settings.MODELS_DIR)
        demo = _known(options["previous"]) or _create()
        self.stdout.write(json.dumps({**demo, "url": options["url"]}))


def _known(previous: Path | None) -> dict[str, str] | None:
    if previous is None or not previous.is_file():
        return None
    demo: dict[str, str] = json.loads(previous.read_text())
    return demo if User.objects.filter(email=demo.get("email", "")).exists() else None


def _create() -> dict[str, str]:
    password = secrets.token_urlsafe(15)
    user = User.objects.filter(email=EMAIL).first() or people.register_user(EMAIL, password, "Demo owner")
    user.set_password(password)
    user.save(update_fields=["password"])
    with acting_as(Actor(request_id="manage.py seed_demo")):
        organization, project = found_organization(ORGANIZATION, plan=UNLIMITED_PLAN)
        with acting_for(organization.pk):
            people.add_member(user, Role.OWNER)
            key = keys.make_api_key("Demo key", project=project, by=user)
    return {
        "email": EMAIL,
        "password": password,
        "api_key": key.secret,
        "organization_id": organization.public_id,
        "project_id": project.public_id,
    }
