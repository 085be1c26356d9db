"""What customers can be told of, and by which patterns."""

import pytest
from django.urls import get_resolver

from config.onemachine.layout import REPOSITORY
from config.webhook_events import EVENTS
from kernel.webhooks.catalogue import check_patterns, is_public, matches, published
from kernel.webhooks.errors import UnknownEvent


@pytest.mark.parametrize(
    ("pattern", "name", "matched"),
    [
        ("*", "tenants.file.uploaded.v1", True),
        ("tenants.*", "tenants.file.uploaded.v1", True),
        ("tenants.file.*", "tenants.file.uploaded.v1", True),
        ("tenants.file.uploaded.v1", "tenants.file.uploaded.v1", True),
        ("tenants.fil.*", "tenants.file.uploaded.v1", False),
        ("training.*", "tenants.file.uploaded.v1", False),
        ("tenants.file.uploaded.v1", "tenants.file.uploaded.v11", False),
    ],
)
def test_a_pattern_means_a_name_or_its_beginning(pattern: str, name: str, matched: bool) -> None:
    assert matches(pattern, name) is matched


@pytest.mark.parametrize(
    "patterns",
    [[], ["nothing.*"], ["tenants.file"], ["tenants*"], ["*.uploaded"], [".*"], [""], ["**"], ["*"] * 51],
)
def test_a_pattern_that_means_nothing_is_refused(patterns: list[str]) -> None:
    with pytest.raises(UnknownEvent):
        check_patterns(patterns)


def test_patterns_are_kept_once_and_in_order() -> None:
    assert check_patterns(["training.*", "*", "training.*"]) == ["*", "training.*"]


def test_what_is_said_between_people_and_the_model_is_never_told() -> None:
    assert get_resolver()
    assert not any(".conversation." in event.name for event in published())
    assert not is_public("tenants.standing.changed.v1")


def test_every_public_event_is_told_by_somebody_and_documented() -> None:
    rooms = ("platform/kernel", "tenants", "training", "inference")
    code = "\n".join(path.read_text() for room in rooms for path in (REPOSITORY / room).rglob("*.py"))
    assert {name for name in EVENTS if f'"{name}"' not in code} == set()
    document = (REPOSITORY / "docs" / "webhooks.md").read_text()
    assert {name for name in EVENTS if f"`{name}`" not in document} == set()
