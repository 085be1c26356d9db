"""However an outage goes, retries stay a tenth of the requests."""

from hypothesis import given
from hypothesis import strategies as st

from inference.gateway.routing.budget import RetryBudget


@given(st.lists(st.booleans(), max_size=500))
def test_retries_are_at_most_a_tenth_of_the_requests_and_a_few(asks: list[bool]) -> None:
    budget = RetryBudget(share=0.1, burst=5)
    retries = 0
    for number, asked in enumerate(asks, start=1):
        budget.note_request()
        retries += asked and budget.take()
        assert retries <= 0.1 * number + 5 + 1e-6


def test_what_was_not_used_is_not_saved_for_an_outage() -> None:
    budget = RetryBudget(share=0.1, burst=5)
    for _ in range(10_000):
        budget.note_request()
    assert sum(budget.take() for _ in range(100)) == 5
