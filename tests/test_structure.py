"""The code is laid out as CONTRIBUTING.md says: few modules at the root, one name for one thing, no circles."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import ttfsrun

PACKAGE = Path(ttfsrun.__file__).parent
MAX_PACKAGES, MAX_MODULES = 14, 6
MAX_LINES_OF_FILE, MAX_LINES_OF_FUNCTION = 300, 60

#: Names that several modules define by convention: the module says which one is meant.
CONVENTIONS = {
    "Settings": "each imperfection has its group of settings, and types.py their base",
    "perturbations": "each imperfection says which perturbations it consists of",
    "table": "each figure has its numbers as a table",
    "load": "each dataset has a loader; ttfsrun.results.load is that of a sweep's results",
    "main": "the entry points of processes",
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text())


def test_few_packages_and_modules_are_at_the_root() -> None:
    packages = [path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()]
    files = [path.name for path in PACKAGE.glob("*.py") if path.name != "__init__.py"]
    assert len(packages) <= MAX_PACKAGES, packages
    assert len(files) <= MAX_MODULES, files


def test_each_class_and_public_function_is_defined_once() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for name, tree in modules():
        for node in tree.body:
            is_function = isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
            if is_function or isinstance(node, ast.ClassDef):
                places[node.name].append(name)
    repeated = {name: files for name, files in places.items() if len(files) > 1}
    assert {name: files for name, files in repeated.items() if name not in CONVENTIONS} == {}
    assert set(CONVENTIONS) <= set(repeated), "a convention that only one module follows is none"


def test_no_file_and_no_function_is_long() -> None:
    long = []
    for name, tree in modules():
        lines = len((PACKAGE / name).read_text().splitlines())
        long += [f"{name}: {lines} lines"] if lines > MAX_LINES_OF_FILE else []
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                long += [f"{name}: {node.name}: {lines} lines"] if lines > MAX_LINES_OF_FUNCTION else []
    assert long == []


@pytest.mark.skipif(shutil.which("lint-imports", path=Path(sys.executable).parent) is None, reason="no import-linter")
def test_packages_import_downwards_only() -> None:
    command = [Path(sys.executable).parent / "lint-imports", "--no-cache"]
    done = subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_modules_import_each_other_in_a_circle() -> None:
    names = {name: ".".join(("ttfsrun", *Path(name).with_suffix("").parts)) for name, _ in modules()}
    names = {name: module.removesuffix(".__init__") for name, module in names.items()}
    known = set(names.values())
    imports: dict[str, set[str]] = {}
    for name, tree in modules():
        targets: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ttfsrun"):
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    targets.add(inner if inner in known else str(node.module))
        imports[names[name]] = targets if names[name] != "ttfsrun" else set()  # the facade imports on demand
    assert list(circles(imports)) == []


def circles(imports: dict[str, set[str]]) -> Iterator[str]:
    """Modules that import themselves through others: what is left when those without imports are taken off."""
    left = {module: set(targets) & set(imports) for module, targets in imports.items()}
    while leaves := {module for module, targets in left.items() if not targets}:
        left = {module: targets - leaves for module, targets in left.items() if module not in leaves}
    yield from sorted(left)


def test_importing_the_package_imports_nothing_heavy_and_offers_its_names() -> None:
    code = (
        "import sys, ttfsrun\n"
        "assert not {'torch', 'pandas', 'numpy', 'hydra', 'msgspec'} & sys.modules.keys()\n"
        "assert all(getattr(ttfsrun, name) is not None for name in ttfsrun.__all__)\n"
        "config = ttfsrun.compose(['experiment=yin_yang'])\n"
        "assert config.data.n_classes == 3\n"
        "try:\n    ttfsrun.trian\nexcept AttributeError as error:\n    assert 'trian' in str(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_training_from_python_gives_the_folder_of_the_results(
    tiny_overrides: tuple[str, ...], no_figures: None, tmp_path: Path
) -> None:
    folder = ttfsrun.train([*tiny_overrides, "training.epochs=1"], out=tmp_path / "run")
    assert folder == tmp_path / "run"
    assert (folder / "metrics.json").exists()
