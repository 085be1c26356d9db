"""`manage.py signing_keys`: print the public keys that verify the platform's signatures, or rotate."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from kernel.crypto.errors import KeyringRefused
from kernel.crypto.signing_keys import SigningKeys, rotate_signing_key


class Command(BaseCommand):
    """Prints PEM, the current key first."""

    help = "Print the public keys in PEM. With --rotate, make a new one first; restart the processes then."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--rotate", action="store_true", help="sign with a new key from the next start on"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(settings.SIGNING_KEY_FILE)
        try:
            if options["rotate"]:
                rotate_signing_key(path)
            keys = SigningKeys(path)
        except KeyringRefused as fault:
            raise CommandError(str(fault)) from None
        for name in sorted(keys.public, key=lambda name: name != keys.current):
            self.stdout.write(f"# {name}\n{keys.public[name]}", ending="")
