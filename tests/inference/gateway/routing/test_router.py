"""Which replica gets a request."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.backends.faults import Unreachable
from inference.gateway.routing.breaker import Outcome
from inference.gateway.routing.replicas import Lease
from inference.gateway.routing.router import NoRoom, Router
from tests.inference.gateway.routing.clockwork import FakeClock, router, servers, work

LONG = "a" * 8192


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["pick", "token", "end"]),
            st.integers(0, 20),
            st.sampled_from(list(Outcome)),
            st.floats(0, 3),
        ),
        max_size=120,
    )
)
def test_outstanding_tokens_return_to_zero_whatever_happens(
    steps: list[tuple[str, int, Outcome, float]],
) -> None:
    clock = FakeClock()
    one, pods = router(clock), servers(3)
    leases: list[Lease] = []
    for act, place, outcome, seconds in steps:
        clock.pass_(seconds)
        if act == "pick":
            try:
                leases.append(one.pick(pods, work("a" * place * 200, answer=place)))
            except Unreachable:
                assert not any(replica.in_use for replica in one.replicas)
        elif leases:
            lease = leases[place % len(leases)]
            if act == "token":
                lease.first_token()
            else:
                lease.end(outcome)
        assert all(replica.outstanding >= 0 and replica.running >= 0 for replica in one.replicas)
    for lease in leases:
        lease.end(Outcome.UNKNOWN)
        lease.end(Outcome.ILL)
    assert [(replica.outstanding, replica.running) for replica in one.replicas] in (
        [],
        [(0, 0)] * 3,
    )


def test_requests_that_share_nothing_are_spread_evenly() -> None:
    one, pods = router(FakeClock()), servers(4)
    leases = [one.pick(pods, work(f"{number}" * 300)) for number in range(400)]
    loads = [replica.load for replica in one.replicas]
    assert max(loads) <= 1.1 * sum(loads) / len(loads)
    assert len(Counter(lease.replica.key for lease in leases)) == 4


def test_a_conversation_stays_where_its_beginning_was_read() -> None:
    one, pods = router(FakeClock()), servers(4)
    first = one.pick(pods, work(LONG))
    first.end(Outcome.WELL)
    for turn in range(1, 20):
        lease = one.pick(pods, work(LONG + "b" * 256 * turn))
        assert lease.replica is first.replica
        lease.end(Outcome.WELL)


def test_a_replica_that_has_too_much_to_do_is_not_favoured_any_more() -> None:
    one, pods = router(FakeClock()), servers(4)
    held = [one.pick(pods, work(LONG, answer=1000)) for _ in range(200)]
    used = Counter(lease.replica.key for lease in held)
    loads = [replica.load for replica in one.replicas]
    assert len(used) == 4
    assert max(loads) <= 1.5 * sum(loads) / len(loads) + 4096


def test_an_adapter_is_asked_of_a_replica_that_has_it() -> None:
    clock = FakeClock()
    one, pods = router(clock), servers(4)
    first = one.pick(pods, work(model="adapter-1", adapter=True))
    first.end(Outcome.WELL)
    again = {one.pick(pods, work(model="adapter-1", adapter=True)).replica.key for _ in range(10)}
    assert again == {first.replica.key}
    first.replica.lost_adapter("adapter-1")
    assert first.replica.adapter_rank("adapter-1") is None


def test_what_other_processes_have_outstanding_counts() -> None:
    one, pods = router(FakeClock()), servers(2)
    one.pick(pods, work()).end(Outcome.WELL)
    names = {replica.key: replica.shared_name for replica in one.replicas}
    busy, idle = sorted(names)
    one.told_elsewhere({names[busy]: 100_000})
    assert {one.pick(pods, work(f"{n}" * 300)).replica.key for n in range(20)} == {idle}
    one.told_elsewhere({})
    assert busy in {one.pick(pods, work(f"{n}" * 300)).replica.key for n in range(20)}


def test_a_replica_that_fails_gets_nothing_and_is_tried_again_after_its_rest() -> None:
    clock = FakeClock()
    one, pods = router(clock), servers(2)
    ill = pods[0].url
    for _ in range(40):
        lease = one.pick(pods, work())
        lease.end(Outcome.ILL if lease.address.url == ill else Outcome.WELL)
    assert {one.pick(pods, work()).address.url for _ in range(20)} == {pods[1].url}
    clock.pass_(60)
    seen = [one.pick(pods, work()).address.url for _ in range(20)]
    assert seen.count(ill) == 1


def test_when_every_replica_rests_the_caller_is_told_when_to_come_back() -> None:
    clock = FakeClock()
    one, pods = router(clock), servers(1)
    for _ in range(5):
        one.pick(pods, work()).end(Outcome.ILL)
    with pytest.raises(Unreachable) as raised:
        one.pick(pods, work())
    assert raised.value.retry_after_seconds == 1


def test_a_full_replica_is_passed_over_and_when_all_are_full_nobody_is_asked() -> None:
    clock = FakeClock()
    one, pods = router(clock), servers(2)
    full = one.pick(pods, work()).replica
    full.said_full(5)
    assert full not in [one.pick(pods, work(f"{n}" * 300)).replica for n in range(10)]
    for replica in one.replicas:
        replica.said_full(3)
    with pytest.raises(NoRoom):
        one.pick(pods, work())
    assert one.seconds_to_room(pods) == 3
    clock.pass_(3)
    assert one.has_other(pods, ())


def test_a_server_that_gives_no_time_gets_as_many_as_fitted_and_slowly_more() -> None:
    one, pods = router(FakeClock()), servers(1)
    held = [one.pick(pods, work()) for _ in range(30)]
    held.pop().end(Outcome.WELL)
    one.pick(pods, work()).end(Outcome.UNKNOWN)
    held[0].replica.said_full(None)
    with pytest.raises(NoRoom):
        one.pick(pods, work())
    for _ in range(28):
        held.pop().end(Outcome.WELL)
        held.insert(0, one.pick(pods, work()))
        with pytest.raises(NoRoom):
            one.pick(pods, work())
    for _ in range(2):
        held.pop().end(Outcome.WELL)
        held.insert(0, one.pick(pods, work()))
    one.pick(pods, work())


def test_a_server_that_others_fill_is_tried_with_one_and_then_with_twice_as_many_each_time() -> None:
    clock = FakeClock()
    one, pods = router(clock), servers(1)
    lease = one.pick(pods, work())
    lease.end(Outcome.WELL)
    lease.replica.said_full(None)
    with pytest.raises(NoRoom):
        one.pick(pods, work())
    clock.pass_(1.0)
    for many in (1, 2, 4, 8):
        held = [one.pick(pods, work()) for _ in range(many)]
        with pytest.raises(NoRoom):
            one.pick(pods, work())
        for lease in held:
            lease.end(Outcome.WELL)


def test_a_server_has_room_while_its_outstanding_tokens_are_below_the_bound() -> None:
    one = Router(clock=FakeClock(), room_tokens=1000)
    pods = servers(1)
    held = [one.pick(pods, work(answer=400)) for _ in range(3)]
    with pytest.raises(NoRoom):
        one.pick(pods, work())
    held[0].end(Outcome.WELL)
    one.pick(pods, work())


def test_two_failed_probes_put_a_replica_out_of_use_until_one_succeeds() -> None:
    one, pods = router(FakeClock()), servers(2)
    one.pick(pods, work()).end(Outcome.WELL)
    sick = next(iter(one.replicas))
    sick.probed(healthy=False)
    assert sick.in_use
    sick.probed(healthy=False)
    assert not sick.in_use
    sick.probed(healthy=True)
    assert sick.in_use


def test_a_replica_that_left_gets_nothing_new_and_is_forgotten_once_it_is_done() -> None:
    clock = FakeClock()
    one, pods = router(clock), servers(2)
    leases = [one.pick(pods, work(f"{n}" * 300)) for n in range(10)]
    leaving, staying = pods
    left = [lease for lease in leases if lease.address == leaving]
    assert left
    for lease in leases:
        if lease.address == staying:
            lease.end(Outcome.WELL)
    assert {one.pick([staying], work()).address for _ in range(10)} == {staying}
    clock.pass_(601)
    one.pick([staying], work())
    assert one.sweep() == [], "it still has requests"
    for lease in left:
        lease.end(Outcome.WELL)
    assert one.sweep() == [leaving]
    assert [replica.address for replica in one.replicas] == [staying]
