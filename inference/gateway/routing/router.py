"""Which replica gets a request: where its prompt is read soonest, among those with no more to do than others.

Everything here is arithmetic on what this process has seen; it waits for nothing, and the clock and the dice
are given, so that a simulation runs the same code.
"""

import math
import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from inference.backends.faults import Overloaded, Unreachable
from inference.backends.interface import BackendAddress
from inference.gateway.routing.affinity import PrefixIndex
from inference.gateway.routing.breaker import Clock, Rules
from inference.gateway.routing.replicas import Lease, Replica, key_of

CHARACTERS_A_TOKEN = 4
# Beyond what a server reads and writes at a time, a request waits no shorter there than here.
ROOM_TOKENS = 262_144
_FORGET_SECONDS = 600.0


class NoRoom(Overloaded):
    """No server in use has room now."""


@dataclass(frozen=True)
class Work:
    """What a request asks of a replica. `prompt_tokens` is None where nobody counted.

    `model` is the served name with its hash; `adapter` says whether that is an adapter's. `salt` parts
    organizations whose prefixes are cached apart.
    """

    prompt: str
    prompt_tokens: int | None
    answer_tokens: int
    model: str
    adapter: bool = False
    salt: str | None = None


@dataclass(frozen=True)
class Weights:
    """How the choice is made, in tokens.

    A replica is in question while its load is at most `bound` times the mean and `slack` more. Of those the
    one is taken where the prompt is read soonest: what is to be read before it, what of it is unknown there,
    and `busy` for each token outstanding. An adapter that must be loaded costs as much as reading `adapter`
    tokens, and `crowding` of that for each adapter that it may push out; one that was served lately costs the
    less the fewer of some `slots` others were served since.
    """

    bound: float = 1.25
    slack: int = 3072
    busy: float = 0.2
    adapter: int = 3072
    crowding: float = 0.05
    slots: int = 32


class Router:
    """Keeps what is known of all replicas, and chooses among those of a deployment."""

    def __init__(
        self,
        *,
        clock: Clock = time.monotonic,
        dice: random.Random | None = None,
        rules: Rules | None = None,
        weights: Weights | None = None,
        room_tokens: int = ROOM_TOKENS,
    ) -> None:
        self._clock = clock
        # Not for secrets: it spreads load.
        self._dice = dice or random.Random()  # noqa: S311
        self._rules, self._weights = rules or Rules(), weights or Weights()
        self._replicas: dict[str, Replica] = {}
        self._prefixes = PrefixIndex(clock=clock)
        self._shares = False
        self._room_tokens = room_tokens
        # Called with a replica that may have room again.
        self.on_room: Callable[[Replica], None] = _nobody_waits

    @property
    def replicas(self) -> Collection[Replica]:
        """All that are known."""
        return self._replicas.values()

    @property
    def has_choices(self) -> bool:
        """Whether any deployment has had more than one replica."""
        return self._shares

    def pick(self, backends: Sequence[BackendAddress], work: Work, *, avoid: Collection[str] = ()) -> Lease:
        """Claim a replica, none whose key is in `avoid`.

        Raises `Unreachable` if none is in use, `NoRoom` if none of those has room.
        """
        candidates = [one for one in self._in_use(backends, avoid) if one[0].has_room]
        if not candidates:
            raise NoRoom("Every server of the model is full.")
        names: list[int] = []
        matches: Mapping[str, int] = {}
        if len(backends) > 1:
            names = self._prefixes.names((work.model, work.salt), work.prompt)
            matches = self._prefixes.matches(names)
        replica, address = self._choose(candidates, work, matches)
        if work.adapter:
            replica.note_adapter(work.model)
        if names:
            self._prefixes.note(names, replica.key)
        unread = prompt_tokens_of(work) - matches.get(replica.key, 0) // CHARACTERS_A_TOKEN
        return Lease(replica, address, prompt=max(0, unread), answer=work.answer_tokens, clock=self._clock)

    def in_order(self, backends: Sequence[BackendAddress]) -> list[BackendAddress]:
        """The servers in use, the one with the least to do first. Raises `Unreachable` if there is none."""
        in_use = self._in_use(backends, ())
        return [address for _, address in sorted(in_use, key=lambda one: one[0].load)]

    def has_other(self, backends: Sequence[BackendAddress], avoid: Collection[str]) -> bool:
        """Whether a replica is in use that is not to be avoided."""
        return any(replica.in_use for replica, _ in self._known(backends) if replica.key not in avoid)

    def seconds_to_room(self, backends: Sequence[BackendAddress]) -> float:
        """Until one of the servers is likely to take a request."""
        return min(replica.seconds_to_room for replica, _ in self._known(backends))

    def sweep(self) -> list[BackendAddress]:
        """Forget replicas that are done and long unnamed by any deployment; their clients' addresses."""
        oldest = self._clock() - _FORGET_SECONDS
        gone = [one for one in self._replicas.values() if one.named_at < oldest and not one.running]
        for replica in gone:
            del self._replicas[replica.key]
            self._prefixes.forget(replica.key)
        return [address for replica in gone for address in replica.clients]

    def told_elsewhere(self, loads: Mapping[str, int]) -> None:
        """What other processes have outstanding, by shared name; what is not named has nothing."""
        for replica in self._replicas.values():
            replica.elsewhere = loads.get(replica.shared_name, 0)

    def _known(self, backends: Sequence[BackendAddress]) -> Iterable[tuple[Replica, BackendAddress]]:
        now = self._clock()
        self._shares = self._shares or len(backends) > 1
        for address in backends:
            replica = self._replicas.get(key_of(address))
            if replica is None:
                replica = Replica(
                    address,
                    clock=self._clock,
                    dice=self._dice,
                    rules=self._rules,
                    room_tokens=self._room_tokens,
                    on_room=self._tell_of_room,
                )
                self._replicas[replica.key] = replica
            replica.named_at = now
            replica.clients.add(address)
            yield replica, address

    def _tell_of_room(self, replica: Replica) -> None:
        self.on_room(replica)

    def _in_use(
        self, backends: Sequence[BackendAddress], avoid: Collection[str]
    ) -> list[tuple[Replica, BackendAddress]]:
        known = [one for one in self._known(backends) if one[0].key not in avoid]
        in_use = [one for one in known if one[0].in_use]
        if not in_use:
            wait = min((replica.breaker.wait_seconds for replica, _ in known), default=1.0)
            raise Unreachable(
                "Every replica of the model has failed lately.", retry_after_seconds=max(1, math.ceil(wait))
            )
        return in_use

    def _choose(
        self, candidates: list[tuple[Replica, BackendAddress]], work: Work, matches: Mapping[str, int]
    ) -> tuple[Replica, BackendAddress]:
        if len(candidates) == 1:
            return candidates[0]
        if not matches and not work.adapter:
            # Nothing ties it to any: the better of two drawn at random, lest all gateways choose the same.
            candidates = self._dice.sample(candidates, 2)
        mean = sum(replica.load for replica, _ in candidates) / len(candidates)
        bound = self._weights.bound * mean + self._weights.slack
        in_question = [one for one in candidates if one[0].load <= bound]
        return min(in_question, key=lambda one: self._cost(one[0], work, matches.get(one[0].key, 0)))

    def _cost(self, replica: Replica, work: Work, matched: int) -> float:
        """What must be done there before the first token, in tokens to read."""
        weights = self._weights
        cost = replica.unread - matched // CHARACTERS_A_TOKEN + weights.busy * replica.load
        if not work.adapter:
            return cost
        rank = replica.adapter_rank(work.model)
        if rank is None:
            return cost + weights.adapter * (1 + weights.crowding * replica.adapters)
        return cost + weights.adapter * min(1.0, rank / weights.slots)


def prompt_tokens_of(work: Work) -> int:
    """The prompt's length, guessed where nobody counted."""
    if work.prompt_tokens is not None:
        return work.prompt_tokens
    return len(work.prompt) // CHARACTERS_A_TOKEN + 1


def _nobody_waits(replica: Replica) -> None:
    """There is nobody to tell."""
