"""`manage.py make_operator`: let a person run the platform, or no longer."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.access.models import User
from tenants.limits.services.operation import note


class Command(BaseCommand):
    """Names the platform's operators; nobody becomes one over the API."""

    help = "Let the person with this address run the platform (plans, prices, suspension)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="the person's address")
        parser.add_argument("--revoke", action="store_true", help="they are an operator no longer")

    def handle(self, *args: Any, **options: Any) -> None:
        email, operates = options["email"].strip().lower(), not options["revoke"]
        user = User.objects.filter(email=email).first()
        if user is None:
            raise CommandError(f"Nobody is registered with the address {email}.")
        user.is_operator = operates
        user.save(update_fields=["is_operator"])
        note("system", "operator.make" if operates else "operator.revoke", user.public_id)
        self.stdout.write(f"{email} {'is' if operates else 'is no longer'} an operator of the platform.")
