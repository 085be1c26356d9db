"""Which port each process listens on: one block of consecutive ports, the web's first."""

import random
import socket
from contextlib import closing
from dataclasses import dataclass

from config.onemachine.faults import CannotStart

# SeaweedFS listens for gRPC at each of its ports + 10000.
GRPC_OFFSET = 10_000
BLOCK_SIZE = 8
HIGHEST_BASE = 65_535 - GRPC_OFFSET - BLOCK_SIZE
# Below the range from which Linux gives outgoing connections their ports, gRPC's ports included.
SEARCHED = range(10_240, 22_000)


@dataclass(frozen=True)
class Ports:
    """The ports of one platform, derived from its first one."""

    web: int

    @property
    def pod(self) -> int:
        return self.web + 1

    @property
    def postgres(self) -> int:
        return self.web + 2

    @property
    def valkey(self) -> int:
        return self.web + 3

    @property
    def s3(self) -> int:
        return self.web + 4

    @property
    def s3_master(self) -> int:
        return self.web + 5

    @property
    def s3_volume(self) -> int:
        return self.web + 6

    @property
    def s3_filer(self) -> int:
        return self.web + 7

    def named(self) -> dict[str, int]:
        """Every port that must be free, by what listens on it."""
        seaweed = {
            "s3": self.s3,
            "s3 master": self.s3_master,
            "s3 volume": self.s3_volume,
            "s3 filer": self.s3_filer,
        }
        plain = {"web": self.web, "pod": self.pod, "postgres": self.postgres, "valkey": self.valkey}
        grpc = {f"{name} gRPC": port + GRPC_OFFSET for name, port in seaweed.items()}
        return plain | seaweed | grpc


def is_free(port: int) -> bool:
    """Whether this machine's loopback address accepts a listener on the port."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def any_free() -> Ports:
    """A block of ports that are all free now."""
    for base in random.sample(SEARCHED, k=200):
        ports = Ports(base)
        if all(is_free(port) for port in ports.named().values()):
            return ports
    raise CannotStart("No block of free ports was found: stop some programs and start again.")


def parse(text: str) -> int:
    """The first port that a person asked for; 0 stands for any free one."""
    if not text.isascii() or not text.isdigit() or int(text) > HIGHEST_BASE:
        raise CannotStart(f"LOOMWORKS_PORT must be a number from 0 to {HIGHEST_BASE}, not {text!r}.")
    return int(text)


def reserve(first: int) -> Ports:
    """The ports from `first` on, checked to be free; any free block for 0."""
    if first == 0:
        return any_free()
    ports = Ports(first)
    for name, port in ports.named().items():
        if not is_free(port):
            raise CannotStart(
                f"Port {port} (for {name}) is used by another program: stop it, or choose other ports "
                f"with LOOMWORKS_PORT (0 takes any free ones)."
            )
    return ports
