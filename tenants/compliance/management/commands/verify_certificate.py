"""`manage.py verify_certificate FILE`: check an erasure certificate with nothing but a public key."""

import base64
import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from kernel.crypto.signatures import SignatureRefused, read_public_keys
from tenants.compliance.execution import certificates


class Command(BaseCommand):
    """Says what the certificate certifies; fails where its signature is not that of the key."""

    help = "Check the signature of an erasure certificate, as the API gave it, and print what it says."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="the certificate's JSON")
        parser.add_argument("--public-key", type=Path, required=True, help="the platform's public keys (PEM)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            given = json.loads(options["file"].read_text())
            known = read_public_keys(options["public_key"].read_text())
            signature = base64.b64decode(given["signature"])
            said = certificates.verify(given["document"], given["key_id"], signature, known)
        except SignatureRefused as refused:
            raise CommandError(f"The certificate is not valid. {refused}") from None
        except (OSError, ValueError, KeyError) as fault:
            raise CommandError(f"The certificate cannot be checked: {fault}") from None
        self.stdout.write(json.dumps(said, indent=2))
