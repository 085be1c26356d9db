"""Figures of a benchmark: kept as JSON, printed as a table, written into the documentation."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Figure:
    """One measured value, its peer in the same run, and the goal it has (`<=` or `>=` is in the goal)."""

    name: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None
    goal: str | None = None
    met: bool | None = None


def at_most(name: str, value: float, unit: str, limit: float) -> Figure:
    """A figure whose goal is a ceiling."""
    return Figure(name, value, unit, goal=f"<= {limit:g} {unit}", met=value <= limit)


def against(name: str, value: float, unit: str, *, peer: str, peer_value: float) -> Figure:
    """A figure beside its peer's of the same run."""
    return Figure(name, value, unit, peer, peer_value, _ratio(value, peer_value))


def at_least_of(name: str, value: float, unit: str, *, peer: str, peer_value: float, share: float) -> Figure:
    """A figure that is to reach a share of its peer's of the same run."""
    met = value >= peer_value * share
    return Figure(
        name, value, unit, peer, peer_value, _ratio(value, peer_value), f">= {share:g} of the peer", met
    )


def at_most_of(name: str, value: float, unit: str, *, peer: str, peer_value: float, share: float) -> Figure:
    """A figure that is not to exceed a share of its peer's of the same run."""
    met = value <= peer_value * share
    return Figure(
        name, value, unit, peer, peer_value, _ratio(value, peer_value), f"<= {share:g} of the peer", met
    )


def _ratio(value: float, peer_value: float) -> float | None:
    return value / peer_value if peer_value else None


def keep(name: str, figures: Sequence[Figure]) -> None:
    """Write `bench/NAME.json` under the home and print the table."""
    path = _path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(figure) for figure in figures], indent=2))
    print(table(figures))


def kept(name: str) -> list[Figure]:
    """What `keep` wrote last."""
    return [Figure(**figure) for figure in json.loads(_path(name).read_text())]


def _path(name: str) -> Path:
    return Path(os.environ.get("LOOMWORKS_HOME") or REPOSITORY / "var") / "bench" / f"{name}.json"


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    head = "| what | measured | peer | ratio | goal | met |\n|---|---|---|---|---|---|\n"
    return head + "\n".join(_row(figure) for figure in figures) + "\n"


def machine() -> str:
    """What it was measured on, without naming the machine."""
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"


def _row(figure: Figure) -> str:
    peer = f"{figure.peer}: {figure.peer_value:,.1f}" if figure.peer_value is not None else ""
    ratio = f"{figure.ratio:.2f}" if figure.ratio is not None else ""
    met = "" if figure.met is None else "yes" if figure.met else "**no**"
    return (
        f"| {figure.name} | {figure.value:,.1f} {figure.unit} | {peer} | {ratio} "
        f"| {figure.goal or ''} | {met} |"
    )
