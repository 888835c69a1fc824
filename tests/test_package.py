"""What is installed is what the checkout says: the built wheel, the versions, the dependencies, the make targets."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.xdist_group("package")  # one process builds and installs it

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
DEPENDENCIES = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = [Requirement(line) for extra in PROJECT["optional-dependencies"].values() for line in extra]
LOCK = [
    Requirement(line.split("#")[0])
    for line in (ROOT / "requirements.lock").read_text().splitlines()
    if line.split("#")[0].strip()
]
IMPORTED_BUT_COMES_WITH = {"omegaconf": "hydra-core", "llvmlite": "numba"}


def run(*command: object, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Return the standard output of a command that must succeed; if it fails, both of its streams are the message."""
    done = subprocess.run([*map(str, command)], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


# The built package


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the source package, as an installer without a wheel for its platform would."""
    folder = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", folder, cwd=ROOT)
    [sdist] = folder.glob("*.tar.gz")
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    run(sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", folder, sdist, cwd=folder)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the package as a user installs it."""
    target = tmp_path_factory.mktemp("installed")
    offline = ["--no-index", "--no-deps", "--disable-pip-version-check"]
    run(sys.executable, "-m", "pip", "install", *offline, "--target", target, wheel, cwd=target)
    return target


@pytest.fixture
def python(installed: Path, tmp_path: Path):
    """Run Python in an empty folder, with the installed package and its dependencies, without the checkout."""
    # -S: no .pth file is read, so that an editable installation of the checkout stays out of sys.path.
    path = os.pathsep.join([str(installed), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    env = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    return lambda *arguments: run(sys.executable, "-S", *arguments, cwd=tmp_path, env=env)


@pytest.mark.slow
def test_the_wheel_holds_the_code_the_configuration_and_the_parts_of_a_page_and_nothing_else(wheel):
    code = {path.relative_to(ROOT).as_posix() for path in (ROOT / "ttfsrun").rglob("*.py")}
    configuration = {f"ttfsrun/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "conf").rglob("*.yaml")}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert "ttfsrun/conf/config.yaml" in names
    kinds = ("*.html", "*.css", "*.js")
    page = {path.relative_to(ROOT).as_posix() for kind in kinds for path in (ROOT / "ttfsrun").rglob(kind)}
    assert "ttfsrun/report/report.css" in page
    assert names - {"ttfsrun/py.typed"} == code | configuration | page


@pytest.mark.slow
def test_the_installed_package_is_the_one_that_runs_below(python, installed):
    assert Path(python("-c", "import ttfsrun; print(ttfsrun.__file__)").strip()).is_relative_to(installed)
    assert str(ROOT) not in python("-c", "import sys; print(*sys.path, sep='\\n')").splitlines()


@pytest.mark.slow
def test_the_installed_package_finds_its_configuration(python):
    assert "yin_yang" in python("-m", "ttfsrun", "config", "experiment=yin_yang")


@pytest.mark.slow
def test_the_installed_package_trains_a_network_in_an_empty_folder(python, tmp_path):
    said = python("-m", "ttfsrun", "train", "training.epochs=1")
    folder = tmp_path / re.search(r"^results: (.*)$", said, re.MULTILINE)[1]
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert {"config.yaml", "metrics.json", "curves.csv", "network.safetensors", "figures/decision_map.png"} <= names
    assert "accuracy" in python("-m", "ttfsrun", "evaluate", folder)


# Versions and dependencies


def test_package_metadata_and_changelog_agree_on_the_version():
    import ttfsrun

    newest = re.search(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert newest is not None, "CHANGELOG.md has no heading of the form '## [1.2.3]'"
    assert newest[1] == ttfsrun.__version__
    assert importlib.metadata.version("ttfsrun") == ttfsrun.__version__, "run `make setup` again"


def test_the_citation_names_the_version_the_licence_and_both_papers():
    import ttfsrun

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["title"] == PROJECT["name"]
    assert citation["version"] == ttfsrun.__version__
    assert citation["license"] == PROJECT["license"]
    assert citation["authors"] == PROJECT["authors"]
    identifiers = {identifier["value"] for paper in citation["references"] for identifier in paper["identifiers"]}
    assert {"arXiv:1912.11443", "arXiv:2102.08211"} <= identifiers


def test_every_file_of_the_source_package_exists():
    sdist = PYPROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["only-include"]
    assert {"CITATION.cff", "CONTRIBUTING.md", "LICENSE", "README.md"} <= set(sdist)
    assert [name for name in sdist if not (ROOT / name).exists()] == []


def third_party_imports() -> dict[str, list[str]]:
    """Return each foreign top-level module that ttfsrun imports anywhere, with the files that import it."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "ttfsrun").rglob("*.py")):
        modules: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules.add(str(node.module))
        for name in {module.split(".")[0] for module in modules} - sys.stdlib_module_names - {"ttfsrun"}:
            found.setdefault(name, []).append(path.relative_to(ROOT).as_posix())
    return found


def imported_distributions() -> dict[str, list[str]]:
    """Return the distribution that each foreign import needs, with the files that import it."""
    providers = importlib.metadata.packages_distributions()
    found: dict[str, list[str]] = {}
    for module, files in third_party_imports().items():
        assert module in providers, f"{files} import {module}, which is not installed"
        name = IMPORTED_BUT_COMES_WITH.get(module, providers[module][0])
        found.setdefault(canonicalize_name(name), []).extend(files)
    return found


def test_every_import_is_a_declared_dependency():
    declared = {canonicalize_name(dependency.name) for dependency in [*DEPENDENCIES, *EXTRAS]}
    missing = {name: files for name, files in imported_distributions().items() if name not in declared}
    assert not missing, f"add to the dependencies in pyproject.toml: {missing}"


def test_every_declared_dependency_is_imported():
    unused = {canonicalize_name(dependency.name) for dependency in DEPENDENCIES} - imported_distributions().keys()
    assert not unused, f"nothing in ttfsrun imports {sorted(unused)}: remove them from pyproject.toml"


def test_the_lock_names_one_exact_version_of_each_package():
    names = [canonicalize_name(pin.name) for pin in LOCK]
    assert sorted(names) == sorted(set(names))
    for pin in LOCK:
        assert [specifier.operator for specifier in pin.specifier] == ["=="], f"{pin} is not exact"


@pytest.mark.parametrize("dependency", [*DEPENDENCIES, *EXTRAS], ids=lambda dependency: dependency.name)
def test_the_lock_satisfies_each_declared_range(dependency):
    # The lock is for Python 3.11 and newer.
    if dependency.marker is not None and not dependency.marker.evaluate({"python_version": "3.11"}):
        return
    pins = [pin for pin in LOCK if canonicalize_name(pin.name) == canonicalize_name(dependency.name)]
    assert len(pins) == 1, f"requirements.lock lacks {dependency.name}"
    [specifier] = pins[0].specifier
    assert dependency.specifier.contains(specifier.version)


# Make


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_without_a_target_lists_every_target():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY:(.*)$", makefile, flags=re.MULTILINE)
    assert phony is not None
    targets = set(re.findall(r"^([a-z]+):(?!=)", makefile, flags=re.MULTILINE))
    assert targets == set(phony[1].split())
    listed = run("make", "--silent", "--no-print-directory", cwd=ROOT)
    assert set(re.findall(r"^make (\S+) +\S", listed, flags=re.MULTILINE)) == targets
