"""What recognising, admitting and isolating callers costs: `make bench-access`.

A request's time is split by layer, in this process. Row-level security is compared with the same
statement, of the same plan, by the tables' owner for whom it is lifted, in turn, on a million rows.
"""

import statistics
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import psycopg

from config.onemachine import environment
from config.onemachine.environment import Place
from tests.benchmarks.figures import Figure, against, at_most, at_most_of, keep
from tests.benchmarks.platform import stores

ROWS = 1_000_000
ORGANIZATIONS = 100
OBJECTS = 10_000
KEYS = 100_000
ROUNDS = 300
ISOLATION_ROUNDS = 400
GOAL_ISOLATION = 1.10
PAGE = "SELECT id, action FROM audit_auditentry WHERE organization_id = %s ORDER BY id DESC LIMIT 20"
COUNT = "SELECT count(*) FROM audit_auditentry WHERE organization_id = %s AND outcome = 'denied'"
FILL_AUDIT = """
INSERT INTO audit_auditentry
    (id, organization_id, actor, action, target, outcome, request_id, details,
     address_commitment, sealed_address)
SELECT gen_random_uuid(), (%(organizations)s::uuid[])[1 + n %% cardinality(%(organizations)s::uuid[])],
    'user-x', 'file.read', 'file-x', CASE WHEN n %% 10 = 0 THEN 'denied' ELSE 'allowed' END, '', '{}', '', ''
FROM generate_series(1, %(rows)s) AS n
"""
FILL_FILES = """
INSERT INTO {table} ({columns}) SELECT {values} FROM {table}, generate_series(1, %(rows)s) AS n
WHERE {table}.id = %(template)s
"""


def microseconds(act: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """The median time of one call, in µs, after some calls that warm it up."""
    times = []
    for number in range(rounds + 20):
        began = time.perf_counter()
        act()
        if number >= 20:
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e6


def in_turn(first: Callable[[], Any], second: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """The median times of two acts done in turn, in µs: what else the machine does meets both alike."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for act, found in zip((first, second), times, strict=True):
            began = time.perf_counter()
            act()
            found.append(time.perf_counter() - began)
    return statistics.median(times[0]) * 1e6, statistics.median(times[1]) * 1e6


def split_by_layer(cast: Any) -> list[Figure]:
    """A request with an API key and one with a session, from the outside in."""
    authentication = import_module("tenants.access.authentication")
    scope = import_module("kernel.tenancy.scope")
    client = import_module("django.test").Client
    owner = cast.new_person()
    header = f"Bearer {owner.secret}"
    anonymous, program, browser = client(SERVER_NAME=cast.HOST), owner.program, owner.browser

    def open_and_close() -> None:
        with scope.acting_for(owner.organization.pk):
            pass

    bare = microseconds(lambda: anonymous.get("/livez"))
    whole = microseconds(lambda: program.get("/v1/files?limit=1"))
    return [
        Figure("request that needs nobody (middleware and routing)", bare, "us"),
        Figure("opening and closing an organization's scope", microseconds(open_and_close), "us"),
        Figure(
            "recognising an API key and what it may do",
            microseconds(lambda: authentication.principal_of_key(header, None)),
            "us",
        ),
        Figure(
            "recognising a session and what its person may do", microseconds(lambda: owner.principal), "us"
        ),
        against("request with an API key, listing files", whole, "us", peer="needs nobody", peer_value=bare),
        against(
            "request with a session, listing files",
            microseconds(lambda: browser.get("/v1/files?limit=1")),
            "us",
            peer="with an API key",
            peer_value=whole,
        ),
    ]


def cost_of_isolation(place: Place) -> list[Figure]:
    """Row-level security against the same statements without it, at a million rows."""
    foundings = import_module("tenants.organizations.services.founding")
    organizations = [foundings.found_organization(f"Organization {n}")[0].pk for n in range(ORGANIZATIONS)]
    owner_url = environment.owner(place)["DATABASE_URL"]
    with (
        psycopg.connect(owner_url, autocommit=True) as free,
        psycopg.connect(environment.database_url(place), autocommit=True) as bound,
    ):
        free.execute("ALTER TABLE audit_auditentry NO FORCE ROW LEVEL SECURITY")
        # Nobody seals them: what is measured is reading.
        free.execute("ALTER TABLE audit_auditentry DISABLE TRIGGER wait_for_seal")
        free.execute(FILL_AUDIT, {"organizations": organizations, "rows": ROWS})
        free.execute("ANALYZE audit_auditentry")
        bound.execute("SELECT set_config('app.organization_id', %s, false)", [str(organizations[7])])
        figures = []
        for name, statement, rounds in (
            ("page of 20 of a million rows, isolated", PAGE, ISOLATION_ROUNDS),
            ("count over 10,000 of a million rows, isolated", COUNT, ISOLATION_ROUNDS // 4),
        ):

            def run(connection: Any, statement: str = statement) -> list[Any]:
                rows: list[Any] = connection.execute(statement, [organizations[7]]).fetchall()
                return rows

            assert run(bound) == run(free)
            isolated, open_ = in_turn(lambda: run(bound), lambda: run(free), rounds)
            figures.append(
                at_most_of(name, isolated, "us", peer="without", peer_value=open_, share=GOAL_ISOLATION)
            )
        free.execute("ALTER TABLE audit_auditentry FORCE ROW LEVEL SECURITY")
    return figures


def many_objects(place: Place, cast: Any) -> list[Figure]:
    """A member with 10,000 files: the first page of what they may see, and how many queries it takes."""
    debug = import_module("django.test.utils").CaptureQueriesContext
    connection = import_module("django.db").connection
    model = import_module("tenants.datasets.models").File
    owner = cast.new_person()
    teammate = cast.new_person(*cast.WORKING, joining=owner)
    owner.openai.files.create(file=("a.jsonl", b'{"prompt": "a", "completion": "b"}\n'), purpose="fine-tune")
    with owner.acting():
        template = model.objects.get().pk
    columns = [field.column for field in model._meta.concrete_fields if field.column != "id"]
    listed = ", ".join(f'"{column}"' for column in columns)
    statement = FILL_FILES.format(
        table=model._meta.db_table, columns=f"id, {listed}", values=f"gen_random_uuid(), {listed}"
    )
    browser = teammate.browser

    def page() -> Any:
        return browser.get("/v1/files?limit=20")

    page()
    with debug(connection) as few:
        page()
    with psycopg.connect(environment.owner(place)["DATABASE_URL"], autocommit=True) as free:
        table = model._meta.db_table
        free.execute(f'ALTER TABLE "{table}" NO FORCE ROW LEVEL SECURITY')
        free.execute(statement, {"rows": OBJECTS, "template": template})
        free.execute(f'ANALYZE "{table}"')
        free.execute(f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY')
    with debug(connection) as many:
        assert len(page().json()["data"]) == 20
    return [
        at_most("queries more at 10,000 objects than at one", len(many) - len(few), "queries", 0),
        Figure("page of 20 of 10,000 objects, as a member", microseconds(page, 100), "us"),
    ]


def many_keys(place: Place, cast: Any) -> list[Figure]:
    """Recognising a key among 100,000, against recognising it among few."""
    authentication = import_module("tenants.access.authentication")
    model = import_module("tenants.access.models").ApiKey
    owner = cast.new_person()
    header = f"Bearer {owner.secret}"

    def recognise() -> Any:
        return authentication.principal_of_key(header, None)

    few = microseconds(recognise)
    with owner.acting():
        template = model.objects.get().pk
    columns = [f.column for f in model._meta.concrete_fields if f.column not in {"id", "secret_hash"}]
    listed = ", ".join(f'"{column}"' for column in columns)
    hashed = "encode(sha256(n::text::bytea), 'hex')"
    statement = FILL_FILES.format(
        table=model._meta.db_table,
        columns=f"id, secret_hash, {listed}",
        values=f"gen_random_uuid(), {hashed}, {listed}",
    )
    with psycopg.connect(environment.owner(place)["DATABASE_URL"], autocommit=True) as free:
        free.execute("ALTER TABLE access_apikey NO FORCE ROW LEVEL SECURITY")
        free.execute(statement, {"rows": KEYS, "template": template})
        free.execute("ANALYZE access_apikey")
        free.execute("ALTER TABLE access_apikey FORCE ROW LEVEL SECURITY")
    return [
        against(
            "recognising a key among 100,000", microseconds(recognise), "us", peer="among few", peer_value=few
        )
    ]


def main() -> list[Figure]:
    """Measure, keep and return the figures."""
    with stores() as place:
        cast = import_module("tests.cast")
        figures = [
            *split_by_layer(cast),
            *many_objects(place, cast),
            *many_keys(place, cast),
            *cost_of_isolation(place),
        ]
    keep("access", figures)
    return figures


if __name__ == "__main__":
    main()
