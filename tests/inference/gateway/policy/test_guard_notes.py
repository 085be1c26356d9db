"""What is told of guardrails fits the usage record."""

from inference.gateway.policy.notes import GuardNotes


def test_the_most_that_can_be_found_fits_the_record() -> None:
    notes = GuardNotes()
    for name in ("attacks.prompt", "pii.prompt", "pii.answer", "words.prompt", "words.answer"):
        notes.found(name, 1_000_000)
    notes.blocked = True
    for seconds in (0.09899, 0.0991, 1e6):
        notes.seconds = seconds
        assert len(notes.told()) <= 100
        assert notes.told().endswith("words.prompt 99, blocked")
