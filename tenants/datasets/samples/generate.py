"""Makes the sample data: arithmetic word problems whose answers end in "#### number". Seeded, stdlib only."""

# ruff: noqa: D103 - the templates' names say what they ask; word lists read best as words
import argparse
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

NAMES = [
    "Amara",
    "Bruno",
    "Chloe",
    "Dmitri",
    "Elena",
    "Farid",
    "Grace",
    "Hiro",
    "Ines",
    "Jonas",
    "Keiko",
    "Liam",
    "Mira",
    "Noah",
    "Olga",
    "Pablo",
    "Quinn",
    "Rosa",
    "Samir",
    "Tessa",
    "Umar",
    "Vera",
    "Wei",
    "Ximena",
    "Yusuf",
    "Zoe",
    "Anita",
    "Boris",
    "Carla",
    "Dana",
    "Emil",
    "Freya",
]
THINGS = [
    "apples",
    "pencils",
    "stickers",
    "marbles",
    "books",
    "shells",
    "cookies",
    "stamps",
    "buttons",
    "cards",
    "postcards",
    "tickets",
    "candles",
    "bottles",
    "mugs",
    "notebooks",
    "oranges",
    "tomatoes",
    "lemons",
    "magnets",
]
PLACES = [
    "shop",
    "library",
    "bakery",
    "school",
    "garden",
    "museum",
    "warehouse",
    "cafe",
    "market",
    "workshop",
]
TRAIN_ROWS, HELD_OUT_ROWS, SEED = 300, 60, 20261124

Problem = tuple[str, str, int]
Template = Callable[[random.Random], Problem]


def bought_more(r: random.Random) -> Problem:
    name, thing, a, b = r.choice(NAMES), r.choice(THINGS), r.randint(5, 80), r.randint(3, 60)
    return (
        f"{name} has {a} {thing} and buys {b} more. How many {thing} does {name} have now?",
        f"{name} starts with {a} {thing} and adds {b}. {a} + {b} = {a + b}.",
        a + b,
    )


def gave_away(r: random.Random) -> Problem:
    (name, friend), thing, a = r.sample(NAMES, 2), r.choice(THINGS), r.randint(20, 95)
    b = r.randint(3, a - 5)
    return (
        f"{name} had {a} {thing}. After giving {b} of them to {friend}, how many are left?",
        f"{name} gives {b} of {a} {thing} away. {a} - {b} = {a - b}.",
        a - b,
    )


def boxes_of(r: random.Random) -> Problem:
    place, thing, a, b = r.choice(PLACES), r.choice(THINGS), r.randint(3, 12), r.randint(4, 15)
    return (
        f"A {place} receives {a} boxes with {b} {thing} in each box. How many {thing} arrive in all?",
        f"Each of the {a} boxes holds {b} {thing}. {a} * {b} = {a * b}.",
        a * b,
    )


def shared_equally(r: random.Random) -> Problem:
    name, thing, friends, each = r.choice(NAMES), r.choice(THINGS), r.randint(3, 9), r.randint(3, 14)
    total = friends * each
    return (
        f"{name} shares {total} {thing} equally among {friends} friends. How many does each friend get?",
        f"The {total} {thing} are split into {friends} equal parts. {total} / {friends} = {each}.",
        each,
    )


def money_left(r: random.Random) -> Problem:
    name, count, price = r.choice(NAMES), r.randint(2, 8), r.randint(2, 9)
    money = count * price + r.randint(3, 40)
    return (
        f"{name} has ${money} and buys {count} tickets at ${price} each. How many dollars are left?",
        f"The tickets cost {count} * {price} = {count * price} dollars. "
        f"That leaves {money} - {count * price} = {money - count * price} dollars.",
        money - count * price,
    )


def two_kinds(r: random.Random) -> Problem:
    (x, y), place, a, b = r.sample(THINGS, 2), r.choice(PLACES), r.randint(3, 9), r.randint(2, 9)
    p, q = r.randint(2, 7), r.randint(2, 7)
    return (
        f"At the {place}, {a} {x} cost ${p} each and {b} {y} cost ${q} each. What do they cost together?",
        f"The {x} cost {a} * {p} = {a * p} dollars and the {y} cost {b} * {q} = {b * q} dollars. "
        f"Together that is {a * p} + {b * q} = {a * p + b * q} dollars.",
        a * p + b * q,
    )


def travelled(r: random.Random) -> Problem:
    name, speed, hours = r.choice(NAMES), r.randint(4, 90), r.randint(2, 8)
    return (
        f"{name} travels at {speed} kilometers per hour for {hours} hours. How far does {name} get?",
        f"Distance is speed times time. {speed} * {hours} = {speed * hours} kilometers.",
        speed * hours,
    )


def older_than(r: random.Random) -> Problem:
    (name, other), age, years = r.sample(NAMES, 2), r.randint(6, 40), r.randint(2, 20)
    return (
        f"{name} is {age} years old and {other} is {years} years older. How old are they together?",
        f"{other} is {age} + {years} = {age + years} years old. "
        f"Together they are {age} + {age + years} = {2 * age + years}.",
        2 * age + years,
    )


def pages_to_read(r: random.Random) -> Problem:
    name, daily, days = r.choice(NAMES), r.randint(8, 30), r.randint(3, 9)
    total = daily * days + r.randint(10, 90)
    return (
        f"A book has {total} pages. {name} reads {daily} pages a day for {days} days. How many pages remain?",
        f"In {days} days {name} reads {daily} * {days} = {daily * days} pages. "
        f"There remain {total} - {daily * days} = {total - daily * days} pages.",
        total - daily * days,
    )


def twice_as_many(r: random.Random) -> Problem:
    (name, other), thing, a, times = r.sample(NAMES, 2), r.choice(THINGS), r.randint(4, 30), r.randint(2, 4)
    return (
        f"{name} collected {a} {thing}. {other} collected {times} times as many. "
        "How many did they collect together?",
        f"{other} collected {times} * {a} = {times * a} {thing}. "
        f"Together: {a} + {times * a} = {a + times * a}.",
        a + times * a,
    )


def weekly_savings(r: random.Random) -> Problem:
    name, weekly, weeks, gift = r.choice(NAMES), r.randint(3, 25), r.randint(3, 12), r.randint(5, 50)
    return (
        f"{name} saves ${weekly} every week for {weeks} weeks and then gets a gift of ${gift}. "
        f"How much money does {name} have?",
        f"The savings are {weekly} * {weeks} = {weekly * weeks} dollars. "
        f"With the gift it is {weekly * weeks} + {gift} = {weekly * weeks + gift} dollars.",
        weekly * weeks + gift,
    )


def seats_in_rows(r: random.Random) -> Problem:
    place, rows, seats = r.choice(PLACES), r.randint(4, 14), r.randint(5, 16)
    taken = r.randint(5, rows * seats - 5)
    return (
        f"The {place} has {rows} rows of {seats} chairs. If {taken} chairs are taken, how many are free?",
        f"There are {rows} * {seats} = {rows * seats} chairs. Free are {rows * seats} - {taken} = "
        f"{rows * seats - taken}.",
        rows * seats - taken,
    )


def packs_needed(r: random.Random) -> Problem:
    thing, size, packs = r.choice(THINGS), r.randint(3, 12), r.randint(4, 12)
    return (
        f"{thing.capitalize()} come in packs of {size}. "
        f"How many packs are needed for {size * packs} {thing}?",
        f"Divide the {size * packs} {thing} by the pack size. {size * packs} / {size} = {packs}.",
        packs,
    )


def half_sold(r: random.Random) -> Problem:
    place, thing, half, extra = r.choice(PLACES), r.choice(THINGS), r.randint(8, 45), r.randint(2, 7)
    return (
        f"A {place} had {2 * half} {thing}, sold half of them and then {extra} more. How many are left?",
        f"Half of {2 * half} is {half}. After {extra} more are sold, "
        f"{half} - {extra} = {half - extra} are left.",
        half - extra,
    )


def bus_passengers(r: random.Random) -> Problem:
    start, off, on = r.randint(15, 50), r.randint(2, 14), r.randint(2, 20)
    return (
        f"A bus carries {start} people. At a stop {off} get off and {on} get on. "
        "How many are on the bus now?",
        f"After {off} get off there are {start} - {off} = {start - off} people. "
        f"After {on} get on there are {start - off} + {on} = {start - off + on}.",
        start - off + on,
    )


def garden_perimeter(r: random.Random) -> Problem:
    name, length, width = r.choice(NAMES), r.randint(6, 40), r.randint(3, 30)
    return (
        f"{name} fences a rectangular garden {length} meters long and {width} meters wide. "
        "How many meters of fence are needed?",
        f"Length and width add up to {length} + {width} = {length + width} meters. "
        f"The fence goes around twice that: 2 * {length + width} = {2 * (length + width)}.",
        2 * (length + width),
    )


def hourly_wage(r: random.Random) -> Problem:
    name, wage, hours, days = r.choice(NAMES), r.randint(9, 25), r.randint(2, 8), r.randint(2, 5)
    return (
        f"{name} earns ${wage} an hour and works {hours} hours a day for {days} days. How much is earned?",
        f"{name} works {hours} * {days} = {hours * days} hours. The pay is {wage} * {hours * days} = "
        f"{wage * hours * days} dollars.",
        wage * hours * days,
    )


def minutes_of_practice(r: random.Random) -> Problem:
    name, a, b = r.choice(NAMES), r.randint(10, 60), r.randint(10, 60)
    days = r.randint(2, 7)
    return (
        f"Every day {name} practices piano for {a} minutes and violin for {b} minutes. "
        f"How many minutes is that in {days} days?",
        f"One day takes {a} + {b} = {a + b} minutes. "
        f"In {days} days it is {days} * {a + b} = {days * (a + b)}.",
        days * (a + b),
    )


def temperature(r: random.Random) -> Problem:
    start, up, down = r.randint(10, 20), r.randint(3, 15), r.randint(1, 12)
    return (
        f"In the morning it is {start} degrees. By noon it is {up} degrees warmer, by night {down} degrees "
        "colder than at noon. How many degrees is it at night?",
        f"At noon it is {start} + {up} = {start + up} degrees. At night it is {start + up} - {down} = "
        f"{start + up - down}.",
        start + up - down,
    )


def eggs_and_cakes(r: random.Random) -> Problem:
    name, eggs, cakes, left = r.choice(NAMES), r.randint(2, 6), r.randint(2, 9), r.randint(1, 12)
    total = eggs * cakes + left
    return (
        f"{name} has {total} eggs and bakes {cakes} cakes with {eggs} eggs each. How many eggs remain?",
        f"The cakes use {cakes} * {eggs} = {cakes * eggs} eggs. {total} - {cakes * eggs} = {left} remain.",
        left,
    )


TEMPLATES: Sequence[Template] = (
    bought_more,
    gave_away,
    boxes_of,
    shared_equally,
    money_left,
    two_kinds,
    travelled,
    older_than,
    pages_to_read,
    twice_as_many,
    weekly_savings,
    seats_in_rows,
    packs_needed,
    half_sold,
    bus_passengers,
    garden_perimeter,
    hourly_wage,
    minutes_of_practice,
    temperature,
    eggs_and_cakes,
)


def problems(seed: int) -> Iterator[dict[str, object]]:
    """Yield chat rows for ever, no question twice, the templates in turn; the same for the same seed."""
    source = random.Random(seed)  # noqa: S311 - sample data, not a secret
    seen: set[str] = set()
    while True:
        for template in TEMPLATES:
            question, work, answer = template(source)
            if question in seen:
                continue
            seen.add(question)
            messages = [
                {"role": "user", "content": question},
                {"role": "assistant", "content": f"{work}\n#### {answer}"},
            ]
            yield {"messages": messages}


def write_samples(folder: Path) -> None:
    """Write `word_problems.jsonl` and `word_problems_held_out.jsonl` into `folder`; no row is in both."""
    rows = problems(SEED)
    for name, count in (("word_problems", TRAIN_ROWS), ("word_problems_held_out", HELD_OUT_ROWS)):
        lines = [json.dumps(next(rows), ensure_ascii=False) + "\n" for _ in range(count)]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent)
    write_samples(parser.parse_args().output)
