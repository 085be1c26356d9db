"""The rules of the house that no linter knows: sizes, names, where imports and the environment may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
ROOMS = ("platform", "tenants", "training", "inference")
LONGEST_MODULE = 400
BANNED_NAMES = {"utils", "helpers", "common", "misc", "manager", "data", "info"}

# The settings, and the command lines of programs that run without Django.
MAY_READ_THE_ENVIRONMENT = {
    "platform/config/environment.py",
    "platform/config/settings.py",
    # Django's own entry points name the settings module.
    "platform/config/asgi.py",
    "platform/config/celery.py",
    # The installer and the supervisor run before there are settings.
    "platform/config/onemachine/__main__.py",
    "platform/config/onemachine/bucket.py",
    "platform/config/onemachine/install.py",
    "platform/config/onemachine/process.py",
    "platform/config/onemachine/with_environment.py",
    "platform/config/onemachine/manage.py",
    # It passes on paths, languages, libraries and GPUs, and nothing else.
    "training/launchers/local.py",
    # It must set a variable before torch is loaded.
    "training/recipes/patience.py",
    "inference/engine/__main__.py",
    "inference/gateway/__main__.py",
    "inference/engine/settings.py",
    "training/recipes/base_model.py",
    "training/recipes/sft.py",
}


def first_party() -> list[Path]:
    """Every Python file of the rooms."""
    return sorted(path for room in ROOMS for path in (REPOSITORY / room).rglob("*.py"))


def written_by_hand() -> list[Path]:
    """Every Python file of ours that no tool generates."""
    tests = (REPOSITORY / "tests").rglob("*.py")
    sources = [*first_party(), *tests, *(REPOSITORY / "locks").glob("*.py")]
    return [path for path in sources if not {"migrations", "node_modules"} & set(path.parts)]


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def test_no_module_is_too_long() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in written_by_hand()}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_MODULE} == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    parts = {name_of(path): set(Path(name_of(path)).with_suffix("").parts) for path in first_party()}
    assert [name for name, words in parts.items() if words & BANNED_NAMES] == []


def test_package_files_are_empty() -> None:
    packages = (path for path in first_party() if path.name == "__init__.py")
    assert [name_of(path) for path in packages if path.stat().st_size] == []


def imports_in_functions(tree: ast.AST) -> Iterator[int]:
    """The lines of imports inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from (
                inner.lineno for inner in ast.walk(node) if isinstance(inner, ast.Import | ast.ImportFrom)
            )


# Django calls `ready` once every app is loaded: what needs the models can be imported only there.
def is_app_configuration(path: Path) -> bool:
    return path.name == "apps.py"


def test_no_import_hides_inside_a_function() -> None:
    found = [
        f"{name_of(path)}:{line}"
        for path in first_party()
        if not is_app_configuration(path)
        for line in imports_in_functions(ast.parse(path.read_text()))
    ]
    assert found == []


def reads_the_environment(tree: ast.AST) -> bool:
    """Whether the code touches `os.environ` or `os.getenv`."""
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in {"environ", "environb", "getenv"}
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        for node in ast.walk(tree)
    ) or any(
        isinstance(node, ast.ImportFrom)
        and node.module == "os"
        and {alias.name for alias in node.names} & {"environ", "environb", "getenv"}
        for node in ast.walk(tree)
    )


def test_only_the_settings_and_command_lines_read_the_environment() -> None:
    readers = {name_of(path) for path in first_party() if reads_the_environment(ast.parse(path.read_text()))}
    assert readers - MAY_READ_THE_ENVIRONMENT == set()
