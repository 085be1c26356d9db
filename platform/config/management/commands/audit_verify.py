"""`manage.py audit_verify`: verify an export of the audit log, without database or network."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from kernel.audit import verify
from kernel.crypto import signing
from kernel.crypto.signatures import read_public_keys


class Command(BaseCommand):
    """Exit codes as `python -m kernel.audit.verify`, which needs no settings either."""

    help = (
        "Verify an export of the audit log; the first altered, missing, moved or doubled line is named. "
        "Exit codes: 0 verified, 1 altered, 2 could not be looked at."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="the export, as JSON Lines")
        parser.add_argument(
            "--public-key",
            type=Path,
            action="append",
            help="a PEM file with public keys; without one, those of this installation",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        code = verify.run(options["file"], _keys(options["public_key"]), self.stdout.write)
        if code:
            sys.exit(code)


def _keys(files: list[Path] | None) -> dict[str, str]:
    if not files:
        return signing.public_keys()
    try:
        return read_public_keys("\n".join(path.read_text(encoding="ascii") for path in files))
    except (OSError, ValueError) as fault:
        raise CommandError(f"The public key cannot be read: {fault}", returncode=verify.UNREADABLE) from None
