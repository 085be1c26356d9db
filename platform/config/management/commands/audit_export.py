"""`manage.py audit_export`: an organization's audit log as JSON Lines, to be verified offline."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from kernel import ids
from kernel.audit.export import Wanted, export, read_bound
from kernel.audit.log import Actor, acting_as
from kernel.errors import DomainError, NotFound


class Command(BaseCommand):
    """Writes to standard output. That it was exported is an entry of the log."""

    help = "Export an organization's audit log to standard output; verify it with `audit_verify`."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("organization", help="its id, org-…")
        parser.add_argument("--since", type=read_bound, help="show entries from then on (RFC 3339)")
        parser.add_argument("--until", type=read_bound, help="show entries before then (RFC 3339)")
        parser.add_argument("--actor", action="append", default=[], help="show what this one did")
        parser.add_argument("--action", action="append", default=[], help="show these acts")
        parser.add_argument("--target", action="append", default=[], help="show what was done to this")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = Wanted(
            since=options["since"],
            until=options["until"],
            actors=tuple(options["actor"]),
            actions=tuple(options["action"]),
            targets=tuple(options["target"]),
        )
        try:
            organization_id = ids.parse("org", options["organization"])
            with acting_as(Actor(request_id="manage.py audit_export")):
                lines = export(organization_id, wanted)
        except NotFound:
            raise CommandError("Name the organization by its id, org-…") from None
        except DomainError as fault:
            raise CommandError(fault.message) from None
        for line in lines:
            self.stdout.write(line.decode(), ending="")
