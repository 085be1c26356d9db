"""What is known of one replica: what it has to do, how it fares, what it holds."""

import hashlib
import random
from collections import OrderedDict
from collections.abc import Callable

from inference.backends.interface import BackendAddress
from inference.gateway.routing.breaker import Breaker, Clock, Outcome, Rules

_ADAPTERS = 64
_ADAPTER_SECONDS = 600.0
_FAILED_PROBES = 2
_WEIGHT = 0.2
_REST_SECONDS = 1.0
# Beyond what is known to fit, one request more is tried for so many that ended well.
_ENDS_A_TRY = 20.0


class Replica:
    """One model server, whichever deployments it serves.

    `outstanding` are the tokens that this process has asked of it and not had yet, `elsewhere` the same of
    the other gateway processes; `unread` is the part of `outstanding` that is prompts still to be read;
    `running` counts this process's requests.
    """

    def __init__(
        self,
        address: BackendAddress,
        *,
        clock: Clock,
        dice: random.Random,
        rules: Rules,
        room_tokens: int,
        on_room: Callable[["Replica"], None],
    ) -> None:
        self.address = address
        self.on_room = on_room
        self._room_tokens = room_tokens
        # Requests of this process: how many may run there, and how many are known to fit.
        self._most_running = self._known_to_fit = float("inf")
        self.key = key_of(address)
        # What other processes are told: an address may hold a secret.
        self.shared_name = hashlib.blake2b(self.key.encode(), digest_size=12).hexdigest()
        self.clients = {address}
        self.breaker = Breaker(clock=clock, dice=dice, rules=rules)
        self.outstanding = 0
        self.unread = 0
        self.elsewhere = 0
        self.running = 0
        self.named_at = self.heard_at = clock()
        self._clock = clock
        self._adapters: OrderedDict[str, float] = OrderedDict()
        self._full_until = float("-inf")
        self._failed_probes = 0
        self._mean_seconds: float | None = None

    @property
    def load(self) -> int:
        """Tokens it still has to read and to write, for all gateways."""
        return self.outstanding + self.elsewhere

    @property
    def in_use(self) -> bool:
        """Whether it may get a request now."""
        return self._failed_probes < _FAILED_PROBES and self.breaker.allows

    @property
    def doubtful(self) -> bool:
        """Whether only a probe can tell how it fares."""
        return self._failed_probes > 0 or not self.breaker.closed

    @property
    def has_room(self) -> bool:
        """Whether it is likely to take a request, by what it has to do and by what it said when full."""
        return (
            self.running + 1 <= self._most_running
            and self.load < self._room_tokens
            and self._clock() >= self._full_until
        )

    @property
    def seconds_to_room(self) -> float:
        """Until it is likely to take a request: its own word, or the pace at which its requests end."""
        said = self._full_until - self._clock()
        if said > 0:
            return said
        return (self._mean_seconds or 1.0) / max(1, self.running)

    def said_full(self, retry_after_seconds: float | None) -> None:
        """It refused a request for want of room, and may have said for how long.

        Otherwise as many fit as run there now, until more of them have ended well; with none of ours running,
        others fill it, and after a second it is tried with one.
        """
        if self.running:
            self._known_to_fit = float(self.running)
        self._most_running = float(max(1, self.running))
        if retry_after_seconds is None and not self.running:
            retry_after_seconds = _REST_SECONDS
        self._full_until = self._clock() + (retry_after_seconds or 0.0)

    def probed(self, *, healthy: bool) -> None:
        """What its `/health` said. Two failures in a row put it out of use until one succeeds."""
        self._failed_probes = 0 if healthy else self._failed_probes + 1
        if healthy:
            self.heard_at = self._clock()

    @property
    def adapters(self) -> int:
        """How many adapters it has served lately."""
        return len(self._adapters)

    def adapter_rank(self, name: str) -> int | None:
        """How many other adapters it has served since it served this one; None if it has not lately."""
        if name not in self._adapters:
            return None
        return next(rank for rank, held in enumerate(reversed(self._adapters)) if held == name)

    def note_adapter(self, name: str) -> None:
        """It serves this adapter now."""
        now = self._clock()
        self._adapters[name] = now
        self._adapters.move_to_end(name)
        oldest = next(iter(self._adapters))
        while len(self._adapters) > _ADAPTERS or self._adapters[oldest] < now - _ADAPTER_SECONDS:
            del self._adapters[oldest]
            oldest = next(iter(self._adapters))

    def lost_adapter(self, name: str) -> None:
        """It says that it does not have this adapter."""
        self._adapters.pop(name, None)

    def answered(self, seconds: float) -> None:
        """One of its requests ran to its end."""
        mean = self._mean_seconds
        self._mean_seconds = seconds if mean is None else mean + _WEIGHT * (seconds - mean)
        most = self._most_running
        self._most_running += 1.0 if most < self._known_to_fit else 1.0 / max(_ENDS_A_TRY, most)


class Lease:
    """One request's claim on a replica. `end` gives back what it still holds, however often it is called."""

    __slots__ = ("_answer", "_began", "_clock", "_ended", "_prompt", "_trial", "address", "replica")

    def __init__(
        self, replica: Replica, address: BackendAddress, *, prompt: int, answer: int, clock: Clock
    ) -> None:
        self.replica, self.address = replica, address
        self._prompt, self._answer = prompt, answer
        self._clock, self._began, self._ended = clock, clock(), False
        self._trial = replica.breaker.begin()
        replica.outstanding += prompt + answer
        replica.unread += prompt
        replica.running += 1

    def first_token(self) -> None:
        """The prompt has been read."""
        if not self._ended:
            self._read()
            self.replica.probed(healthy=True)
            self.replica.on_room(self.replica)

    def _read(self) -> None:
        self.replica.outstanding -= self._prompt
        self.replica.unread -= self._prompt
        self._prompt = 0

    def end(self, outcome: Outcome) -> None:
        """The request is over. Later calls do nothing."""
        if self._ended:
            return
        self._give_back(outcome)
        if outcome is Outcome.WELL:
            self.replica.answered(self._clock() - self._began)
        self.replica.on_room(self.replica)

    def refuse(self, retry_after_seconds: float | None) -> None:
        """The server had no room for it; see `Replica.said_full`."""
        if self._ended:
            return
        self._give_back(Outcome.WELL)
        self.replica.said_full(retry_after_seconds)

    def _give_back(self, outcome: Outcome) -> None:
        self._ended = True
        replica = self.replica
        self._read()
        replica.outstanding -= self._answer
        replica.running -= 1
        replica.breaker.end(outcome, trial=self._trial)


def key_of(address: BackendAddress) -> str:
    """The replica's name in this process: the same server under any deployment."""
    return f"{address.kind} {address.url}"
