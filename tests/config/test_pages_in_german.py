"""Everything that the account pages say is said in German too."""

import gettext
import re
from pathlib import Path

import pytest

from config.onemachine.layout import REPOSITORY
from tenants.compliance.evidence.controls import CONTROLS

CONFIG = REPOSITORY / "platform" / "config"
CATALOGUE = CONFIG / "locale" / "de" / "LC_MESSAGES" / "django.mo"
FOLDERS = (CONFIG / "templates", REPOSITORY / "tenants" / "compliance" / "templates")
TEMPLATES = sorted(
    path for folder in FOLDERS for path in folder.rglob("*.*") if path.suffix in {".html", ".txt"}
)
PHRASE = re.compile(r'{% translate "([^"]+)"(?: context "([^"]+)")?')
BLOCK = re.compile(r"{% blocktranslate([^%]*)%}(.*?){% endblocktranslate %}", re.DOTALL)


def phrases(template: str) -> set[str]:
    """The message ids of a template, as Django asks the catalogue for them."""
    found = {f"{context}\x04{text}" if context else text for text, context in PHRASE.findall(template)}
    for options, text in BLOCK.findall(template):
        first = text.split("{% plural %}")[0]
        if "trimmed" in options:
            first = " ".join(line.strip() for line in first.strip().splitlines())
        found.add(re.sub(r"{{ (\w+) }}", r"%(\1)s", first))
    return found


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_phrase_of_a_page_has_its_german(path: Path) -> None:
    with CATALOGUE.open("rb") as file:
        known = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    asked = phrases(path.read_text())
    assert {text for text in asked if text not in known and (text, 0) not in known} == set()


def test_every_control_of_the_evidence_report_has_its_german() -> None:
    with CATALOGUE.open("rb") as file:
        known = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    assert {control.title for control in CONTROLS} - known.keys() == set()
