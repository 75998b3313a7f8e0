"""Fingerprints: all that the records of a suite depend on, in one digest."""

import ast
import hashlib
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil

__all__ = ["BENCHMARKS", "ROOT", "environment", "fingerprint", "sources"]

BENCHMARKS = Path(__file__).parents[1]
ROOT = BENCHMARKS.parent
PACKAGE = ROOT / "sk_metalr"
PACKAGES = [
    *("tensorflow", "keras", "scikit-learn", "scikeras", "optuna", "keras-tuner"),
    *("numpy", "scipy", "pandas", "joblib"),
]


def environment() -> dict[str, str]:
    """Return the machine and the versions that results depend on, beside the code."""
    memory = psutil.virtual_memory().total / 2**30
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB",
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def fingerprint(suite: str, environment: dict[str, str]) -> str:
    """Return a digest of the environment, the package, the data, and the files of a suite.

    A suite's files are its module ``measure`` and all modules of the benchmarks that this imports.
    What only writes reports is not among them.
    """
    digest = hashlib.sha256(json.dumps(environment).encode())
    paths = [
        *PACKAGE.rglob("*.py"),
        PACKAGE / "_experience" / "default.jsonl",
        *(BENCHMARKS / "data").glob("*.gz"),
        *sources(BENCHMARKS / "suites" / suite / "measure.py"),
    ]
    for path in sorted(paths):
        digest.update(path.relative_to(ROOT).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def sources(path: Path) -> set[Path]:
    """Return a file of the benchmarks, and those that it imports, directly or not."""
    found, left = set(), {path}
    while left:
        one = left.pop()
        found.add(one)
        left |= _imported(one) - found
    return found


def _imported(path: Path) -> set[Path]:
    """Return the files of the benchmarks that a file imports; imports are absolute here."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            if node.level:
                raise ImportError(f"{path} has a relative import; import from {__package__!r}.")
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    mine = [ROOT.joinpath(*n.split(".")) for n in names if n.split(".")[0] == BENCHMARKS.name]
    files = [file for one in mine for file in (one.with_suffix(".py"), one / "__init__.py")]
    return {file for file in files if file.is_file()}
