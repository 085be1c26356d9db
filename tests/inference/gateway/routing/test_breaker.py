"""The circuit breaker, by a clock that stands still until it is told."""

import random

from hypothesis import given
from hypothesis import strategies as st

from inference.gateway.routing.breaker import Breaker, Outcome, Rules
from tests.inference.gateway.routing.clockwork import FakeClock

RULES = Rules()


def breaker(clock: FakeClock) -> Breaker:
    return Breaker(clock=clock, dice=random.Random(1))


def request(one: Breaker, outcome: Outcome) -> None:
    one.end(outcome, trial=one.begin())


def test_it_opens_on_failures_in_a_row_and_a_success_between_begins_the_row_anew() -> None:
    one = breaker(FakeClock())
    for outcome in [*[Outcome.ILL] * 4, Outcome.WELL, *[Outcome.ILL] * 4]:
        request(one, outcome)
    assert one.allows
    request(one, Outcome.ILL)
    assert not one.allows
    assert not one.closed


def test_it_opens_when_half_of_many_fail_though_never_in_a_row() -> None:
    one = breaker(FakeClock())
    for _ in range(RULES.least_results // 2):
        assert one.closed
        request(one, Outcome.WELL)
        request(one, Outcome.ILL)
    assert not one.closed


def test_failures_of_long_ago_do_not_count() -> None:
    clock = FakeClock()
    one = breaker(clock)
    for _ in range(9):
        request(one, Outcome.WELL)
        request(one, Outcome.ILL)
    clock.pass_(RULES.window + 1)
    for _ in range(9):
        request(one, Outcome.WELL)
        request(one, Outcome.ILL)
    assert one.closed


def test_after_its_rest_one_request_decides() -> None:
    clock = FakeClock()
    one = breaker(clock)
    for _ in range(5):
        request(one, Outcome.ILL)
    clock.pass_(RULES.first_rest)
    assert one.allows
    trial = one.begin()
    assert trial
    assert not one.allows, "a second one waits for the first"
    one.end(Outcome.WELL, trial=trial)
    assert one.closed


def test_a_trial_that_fails_doubles_the_rest_up_to_a_bound() -> None:
    clock = FakeClock()
    one = breaker(clock)
    for _ in range(5):
        request(one, Outcome.ILL)
    rests = []
    for _ in range(12):
        rests.append(one.wait_seconds)
        clock.pass_(one.wait_seconds)
        request(one, Outcome.ILL)
    for number, rest in enumerate(rests):
        whole = min(RULES.longest_rest, RULES.first_rest * 2**number)
        assert whole / 2 <= rest <= whole
    assert len({round(rest / RULES.longest_rest, 6) for rest in rests[-4:]}) > 1, "they are spread"


def test_a_trial_whose_caller_left_lets_another_try() -> None:
    clock = FakeClock()
    one = breaker(clock)
    for _ in range(5):
        request(one, Outcome.ILL)
    clock.pass_(RULES.first_rest)
    request(one, Outcome.UNKNOWN)
    assert one.allows
    assert not one.closed


@given(st.lists(st.tuples(st.sampled_from(list(Outcome)), st.floats(0, 5), st.integers(0, 3)), max_size=80))
def test_while_it_is_open_nothing_passes_before_the_rest_is_over_and_then_one_at_a_time(
    steps: list[tuple[Outcome, float, int]],
) -> None:
    clock = FakeClock()
    one = breaker(clock)
    running: list[bool] = []
    for outcome, seconds, place in steps:
        clock.pass_(seconds)
        if one.allows:
            assert one.closed or (one.wait_seconds == 0 and not any(running))
            running.append(one.begin())
        if running:
            one.end(outcome, trial=running.pop(place % len(running)))
