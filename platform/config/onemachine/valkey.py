"""Valkey from its wheel: broker, channel layer, cache and serving snapshot, durable by its log."""

import signal

from config.onemachine import probes, programs
from config.onemachine.environment import Place
from config.onemachine.layout import write_private
from config.onemachine.process import Process

# No eviction: a queue or a snapshot entry must never vanish to make room for a cache entry.
CONFIGURATION = """\
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
dir {folder}
appendonly yes
appendfsync everysec
save ""
maxmemory 512mb
maxmemory-policy noeviction
daemonize no
loglevel notice
"""


def server(place: Place) -> Process:
    """The server, its configuration (which holds the password) written where only we can read it."""
    file = place.layout.secrets / "valkey.conf"
    folder = f'"{place.layout.valkey}"'
    write_private(
        file,
        CONFIGURATION.format(port=place.ports.valkey, password=place.credentials.valkey, folder=folder),
    )
    return Process(
        name="valkey",
        command=(programs.valkey_server(), str(file)),
        probe=probes.valkey(place.ports.valkey, place.credentials.valkey),
        stop=((signal.SIGTERM, 10.0),),
    )
