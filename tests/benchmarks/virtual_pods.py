"""Model servers and their callers in virtual time: what a routing policy is tried on.

A server batches continuously: each step writes a token for every running request and spends what is left of
its budget on reading prompts, first come, first served. It keeps what it has read in a prefix cache and has
slots for adapters. The figures are those of a 7B model on one data-centre GPU, roundly.
"""

import heapq
import itertools
import math
import random
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

CHARACTERS_A_TOKEN = 4
BLOCK_TOKENS = 16
STEP_TOKENS = 1024
STEP_SECONDS = 0.008
TOKEN_SECONDS = 0.0001
MOST_RUNNING = 64
CACHE_BLOCKS = 12_000
ADAPTER_SLOTS = 8
ADAPTER_SECONDS = 0.4
MOST_ANSWER_TOKENS = 512


@dataclass(eq=False)
class Turn:
    """One request of a conversation."""

    adapter: str
    prompt: str
    answer_tokens: int
    asked_at: float = 0.0
    first_token_at: float = 0.0
    unread: int = 0
    written: int = 0
    on_first_token: Callable[[], None] = field(default=lambda: None)
    on_token: Callable[[], None] = field(default=lambda: None)
    on_end: Callable[[], None] = field(default=lambda: None)


@dataclass(frozen=True)
class Conversation:
    """Its turns, and how long its person thinks before each."""

    begins_at: float
    turns: tuple[Turn, ...]
    thinks: tuple[float, ...]


class World:
    """A clock and what is to happen."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (seconds, next(self._numbers), act))

    @property
    def next_at(self) -> float:
        """When something is to happen next."""
        return self._due[0][0] if self._due else math.inf

    def run(self, until: float = math.inf) -> None:
        """Let happen what is due by then."""
        while self._due and self.next_at <= until:
            self.now, _, act = heapq.heappop(self._due)
            act()


class Pod:
    """One server."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._reading: deque[Turn] = deque()
        self._writing: list[Turn] = []
        self._cache: OrderedDict[int, None] = OrderedDict()
        self._adapters: OrderedDict[str, None] = OrderedDict()
        self._stepping = False
        self.work = 0

    @property
    def running(self) -> int:
        """Requests whose answers are being written."""
        return len(self._writing)

    @property
    def waiting(self) -> int:
        """Requests whose prompts are not read."""
        return len(self._reading)

    @property
    def held_tokens(self) -> int:
        """Tokens of the running requests, prompts and answers."""
        return sum(len(one.prompt) // CHARACTERS_A_TOKEN + one.written for one in self._writing)

    def ask(self, turn: Turn) -> None:
        """Take a request; the adapter is loaded first if it is in no slot."""
        loaded = turn.adapter in self._adapters
        self._adapters[turn.adapter] = None
        self._adapters.move_to_end(turn.adapter)
        if len(self._adapters) > ADAPTER_SLOTS:
            self._adapters.popitem(last=False)
        self._world.at(self._world.now + (0.0 if loaded else ADAPTER_SECONDS), lambda: self._enqueue(turn))

    def _enqueue(self, turn: Turn) -> None:
        self._reading.append(turn)
        turn.unread = -1
        if not self._stepping:
            self._stepping = True
            self._step()

    def _step(self) -> None:
        ended = [turn for turn in self._writing if turn.written >= turn.answer_tokens]
        self._writing = [turn for turn in self._writing if turn.written < turn.answer_tokens]
        for turn in ended:
            turn.on_end()
        if not self._writing and not self._reading:
            self._stepping = False
            return
        for turn in self._writing:
            turn.written += 1
            turn.on_token()
        tokens = len(self._writing)
        begun: list[Turn] = []
        while self._reading and tokens < STEP_TOKENS and len(self._writing) + len(begun) < MOST_RUNNING:
            turn = self._reading[0]
            if turn.unread < 0:
                turn.unread = self._unread(turn)
            share = min(turn.unread, STEP_TOKENS - tokens)
            turn.unread -= share
            tokens += share
            if turn.unread:
                break
            begun.append(self._reading.popleft())
        self.work += tokens
        seconds = STEP_SECONDS + TOKEN_SECONDS * tokens
        self._world.at(self._world.now + seconds, lambda: self._stepped(begun))

    def _stepped(self, begun: list[Turn]) -> None:
        for turn in begun:
            turn.first_token_at = self._world.now
            turn.written = 1
            turn.on_first_token()
        self._writing += begun
        self._step()

    def _unread(self, turn: Turn) -> int:
        """Tokens of the prompt that are not in the prefix cache; they are, from now on."""
        size = BLOCK_TOKENS * CHARACTERS_A_TOKEN
        name, known, going = hash(turn.adapter), 0, True
        for start in range(0, len(turn.prompt) - size + 1, size):
            name = hash((name, turn.prompt[start : start + size]))
            going = going and name in self._cache
            known += going
            self._cache[name] = None
            self._cache.move_to_end(name)
        while len(self._cache) > CACHE_BLOCKS:
            self._cache.popitem(last=False)
        return max(1, len(turn.prompt) // CHARACTERS_A_TOKEN - known * BLOCK_TOKENS)


def conversations(
    *, seconds: float, a_second: float, adapters: int = 24, skew: float = 1.0, seed: int = 1
) -> list[Conversation]:
    """Conversations that begin within `seconds`: a few adapters have most of them.

    Every adapter's prompts begin with its own instructions of 300 to 1,500 tokens; a conversation has four
    turns on average, each with all that was said before.
    """
    dice = random.Random(seed)
    names = [f"adapter-{number}" for number in range(adapters)]
    weights = [1 / (place + 1) ** skew for place in range(adapters)]
    instructions = {name: text(dice, dice.randint(300, 1500)) for name in names}
    made: list[Conversation] = []
    begins_at = dice.expovariate(a_second)
    while begins_at < seconds:
        adapter = dice.choices(names, weights)[0]
        said = instructions[adapter]
        turns: list[Turn] = []
        while not turns or dice.random() < 0.75:
            said += text(dice, min(2000, int(dice.lognormvariate(4.5, 1.0)) + 10))
            answer = min(MOST_ANSWER_TOKENS, int(dice.lognormvariate(5.0, 0.6)) + 5)
            turns.append(Turn(adapter, said, answer))
            said += text(dice, answer)
        made.append(Conversation(begins_at, tuple(turns), tuple(dice.expovariate(1 / 8) + 1 for _ in turns)))
        begins_at += dice.expovariate(a_second)
    return made


def text(dice: random.Random, tokens: int) -> str:
    """So many words of four characters."""
    return f"%0{tokens * CHARACTERS_A_TOKEN}x" % dice.getrandbits(16 * tokens)
