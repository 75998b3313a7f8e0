"""Measure speed, quality and scaling, and write down what came out.

    python benchmarks/run.py [--quick] [--out DIR] [--only SUITE]

Writes RESULTS.md, results.json and figures to DIR: this folder, or with --quick or --only
`partial` inside it. (`--only strategies` writes STRATEGIES.md and strategies.json, here, and
`--only portfolio` the like.) Every cell runs in a process of its own and is recorded when it
ends: started again after an interruption, the command goes on where it was. A record counts only
for the same code, data, versions and machine. Exits non-zero where a bar is missed.

Measure on an idle machine. The full run takes about an hour on two cores, the strategies
another 45 minutes, the portfolio an hour and a half, --quick 3 minutes.
"""

import argparse
import hashlib
import importlib
import json
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from time import perf_counter, sleep

import psutil

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "sk_metalr"
SUITES = {
    "speed": ["speed.py", "peers.py", "networks.py", "tables.py"],
    "quality": ["quality.py", "rate_range.py", "networks.py", "tables.py"],
    "scaling": ["scaling.py", "networks.py"],
    "memory": ["memory.py", "networks.py"],
    "workers": ["workers.py", "networks.py"],
    "strategies": ["strategies.py", "quality.py", "networks.py", "tables.py"],
    "portfolio": [
        *("portfolio.py", "overlap.py", "build_experience.py"),
        *("quality.py", "networks.py", "tables.py"),
    ],
}
"""Each suite, and the files that its records depend on."""

ON_DEMAND = ["strategies", "portfolio"]
"""Suites that only run where --only names them."""

AT_A_TIME = {"quality": 2, "strategies": 2, "portfolio": 2}
"""How many cells of a suite run at a time: where no time is measured, one a core."""

PACKAGES = [
    *("tensorflow", "keras", "scikit-learn", "scikeras", "optuna", "keras-tuner"),
    *("numpy", "scipy", "pandas", "joblib"),
]


def environment() -> dict[str, str]:
    """Return what the figures depend on beside the code."""
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


def fingerprint(suite: str) -> str:
    """Return a digest of all that the records of a suite depend on."""
    digest = hashlib.sha256(json.dumps(environment()).encode())
    sources = [
        *sorted(PACKAGE.rglob("*.py")),
        PACKAGE / "_experience" / "default.jsonl",
        *(HERE / name for name in SUITES[suite]),
    ]
    for path in [*sources, *sorted((HERE / "data").glob("*.gz"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def run_cell(suite: str, arguments: dict, path: Path, stamp: str) -> bool:
    """Measure one cell in a process of its own; tell whether it was recorded."""
    result = path.with_suffix(".result")
    command = [sys.executable, __file__, "--cell", suite, json.dumps(arguments), str(result)]
    start = perf_counter()
    worker = subprocess.Popen(command, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    peak = 0.0
    try:
        while worker.poll() is None:
            peak = max(peak, _resident(worker.pid))
            sleep(0.2)
    finally:
        worker.kill()
    if worker.returncode:
        return False
    record = {
        "fingerprint": stamp,
        "suite": suite,
        "arguments": arguments,
        "result": json.loads(result.read_text()),
        "peak_megabytes": peak,
        "seconds": perf_counter() - start,
    }
    result.write_text(json.dumps(record))
    result.rename(path)  # all of it or nothing
    return True


def _resident(pid: int) -> float:
    """Return resident memory of a process and its children, in megabytes."""
    total = 0
    try:
        process = psutil.Process(pid)
        for member in [process, *process.children(recursive=True)]:
            total += member.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total / 2**20


def measure_all(suites: list[str], quick: bool, folder: Path) -> dict[str, dict]:
    """Return the record of every cell, measuring those that are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    records: dict[str, dict] = {}
    for suite in suites:
        stamp = fingerprint(suite)
        cells = importlib.import_module(suite).cells(quick)
        with ThreadPoolExecutor(AT_A_TIME.get(suite, 1)) as threads:
            measured = threads.map(
                lambda cell, suite=suite, stamp=stamp: recorded(suite, *cell, folder, stamp),
                cells.items(),
            )
            records |= dict(zip(cells, measured, strict=True))
    missing = [name for name, record in records.items() if record is None]
    if missing:
        raise SystemExit(f"Failed: {', '.join(missing)}. Everything else is recorded.")
    return records


def recorded(suite: str, name: str, arguments: dict, folder: Path, stamp: str) -> dict | None:
    """Return the record of a cell, measuring it where there is none that counts."""
    identity = hashlib.sha256(f"{name} {json.dumps(arguments)}".encode())
    path = folder / f"{identity.hexdigest()[:16]}.json"
    wanted = {"fingerprint": stamp, "arguments": arguments}
    if path.exists():
        record = json.loads(path.read_text())
        if wanted.items() <= record.items():
            return record
    if not run_cell(suite, arguments, path, stamp):
        print(f"{name}: FAILED", flush=True)
        return None
    record = json.loads(path.read_text())
    print(f"{name}: {record['seconds']:.0f} s", flush=True)
    return record


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few cells, in 3 minutes")
    parser.add_argument("--out", type=Path, help="where to write (default: this folder)")
    parser.add_argument("--only", choices=SUITES, action="append", help="leave out other suites")
    parser.add_argument("--cell", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cell:
        suite, cell, path = arguments.cell
        result = importlib.import_module(suite).measure(**json.loads(cell))
        Path(path).write_text(json.dumps(result))
        return 0
    is_whole = not (arguments.quick or arguments.only)
    stem = "RESULTS"
    if arguments.only and set(arguments.only) <= set(ON_DEMAND) and not arguments.quick:
        is_whole, stem = True, "-".join(arguments.only).upper()
    out = arguments.out or (HERE if is_whole else HERE / "partial")
    suites = arguments.only or [suite for suite in SUITES if suite not in ON_DEMAND]
    # One place for the records of all runs: a suite measured alone counts for the whole.
    records = measure_all(suites, arguments.quick, (arguments.out or HERE) / "records")
    import report  # draws: not for the processes whose memory is measured

    command = " ".join(["python benchmarks/run.py", *sys.argv[1:]])
    held = report.write(records, environment(), command, arguments.quick, out, stem)
    print(f"written to {out / f'{stem}.md'}")
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())
