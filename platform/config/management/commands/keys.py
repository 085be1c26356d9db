"""`manage.py keys`: copies of the wrapped keys, fresh master keys, what is destroyed and not yet settled."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from kernel.crypto import copies, keys, own, personal, renewal
from kernel.crypto.errors import KeyDestroyed
from kernel.crypto.keyfile import publish_private
from kernel.crypto.keys import PLATFORM
from kernel.errors import DomainError


class Command(BaseCommand):
    """Everything here shows wrapped keys only."""

    help = "Export and import wrapped keys; put keys under fresh master keys; settle what was destroyed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        export = acts.add_parser("export", help="write all wrapped keys to a new file (mode 0600)")
        export.add_argument("file", type=Path)
        taken = acts.add_parser("import", help="take over wrapped keys after the database was restored")
        taken.add_argument("file", type=Path, nargs="?", help="without one: the copies in the object store")
        move = acts.add_parser("move", help="wrap keys under fresh master keys of KEY_PROVIDER")
        move.add_argument("organization", type=UUID, nargs="?", help="its UUID; without one: everybody's")
        acts.add_parser("settle", help="destroy now what waits to be destroyed")
        acts.add_parser("rotate-platform", help="a fresh key for the platform's own secrets, all sealed anew")

    def handle(self, *args: Any, act: str, **options: Any) -> None:
        try:
            getattr(self, f"_{act.replace('-', '_')}")(**options)
        except DomainError as fault:
            raise CommandError(fault.message) from fault
        except (OSError, copies.UnreadableCopy) as fault:
            raise CommandError(str(fault)) from fault

    def _export(self, file: Path, **_: Any) -> None:
        lines = list(copies.everybodys())
        publish_private(file, "".join(lines).encode(), replace=False)
        self.stdout.write(f"{len(lines)} wrapped keys are in {file}.")

    def _import(self, file: Path | None, **_: Any) -> None:
        lines = copies.kept() if file is None else file.read_text().splitlines()
        self.stdout.write(f"{copies.restore(lines)} wrapped keys were taken over.")

    def _move(self, organization: UUID | None, **_: Any) -> None:
        moved = 0
        for organization_id in [organization] if organization else copies.organizations():
            try:
                moved += renewal.move(organization_id, own.find(organization_id))
            except KeyDestroyed:
                continue
            renewal.finish(organization_id)
        self.stdout.write(f"{moved} keys are under fresh master keys.")

    def _settle(self, **_: Any) -> None:
        for organization_id in sorted(renewal.due()):
            renewal.settle(organization_id)
        left = len(renewal.due())
        self.stdout.write(
            "Nothing is left to destroy." if not left else f"{left} organizations wait; see the log."
        )
        sys.exit(1 if left else 0)

    def _rotate_platform(self, **_: Any) -> None:
        newest = keys.rotate_key(PLATFORM)
        moved = personal.reseal_all() + own.reseal_tokens(newest, keys.finder(PLATFORM))
        self.stdout.write(f"{moved} secrets were sealed anew.")
