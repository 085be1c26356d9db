"""A clock that stands still until it is told, and servers to choose among."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from inference.backends.interface import BackendAddress
from inference.gateway.routing.router import Router, Work


@dataclass
class FakeClock:
    """Call it for the time; set `now`, or `pass_` seconds."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


def servers(count: int) -> list[BackendAddress]:
    return [BackendAddress("tgi", f"http://pod-{number}") for number in range(count)]


def router(clock: Callable[[], float], seed: int = 7) -> Router:
    return Router(clock=clock, dice=random.Random(seed))


def work(prompt: str = "Hi", *, answer: int = 100, model: str = "base-1", **further: object) -> Work:
    return Work(
        prompt=prompt,
        prompt_tokens=None,
        answer_tokens=answer,
        model=model,
        adapter=bool(further.get("adapter")),
        salt=str(further["salt"]) if "salt" in further else None,
    )
