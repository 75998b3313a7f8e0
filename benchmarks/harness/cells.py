"""Cells, each measured in a process of its own and recorded when it ends."""

import hashlib
import importlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter, sleep

import psutil

from benchmarks.harness.fingerprint import BENCHMARKS, fingerprint
from benchmarks.suites import SUITES

__all__ = ["measure_all", "measure_here"]


def measure_here(suite: str, arguments: dict, path: Path) -> None:
    """Measure one cell in this process, and write its result to a file."""
    path.write_text(json.dumps(_measure(suite).measure(**arguments)))


def _measure(suite: str):
    return importlib.import_module(f"benchmarks.suites.{suite}.measure")


def measure_all(
    suites: list[str], quick: bool, folder: Path, environment: dict[str, str]
) -> dict[str, dict[str, dict]]:
    """Return the records of every suite by the names of its cells; measure those that are missing.

    Parameters
    ----------
    suites : list of str
        Names of the suites.
    quick : bool
        Whether only a few cells are wanted.
    folder : Path
        Where records are kept. One counts only for the same cell and the same fingerprint.
    environment : dict of str to str
        What results depend on beside the code.

    Raises
    ------
    SystemExit
        If the process of a cell failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records: dict[str, dict[str, dict]] = {}
    missing = []
    for suite in suites:
        stamp = fingerprint(suite, environment)
        cells = _measure(suite).cells(quick)
        with ThreadPoolExecutor(SUITES[suite].at_a_time) as threads:
            measured = threads.map(
                lambda cell, suite=suite, stamp=stamp: _recorded(suite, *cell, folder, stamp),
                cells.items(),
            )
            found = dict(zip(cells, measured, strict=True))
        missing += [name for name, record in found.items() if record is None]
        records[suite] = {name: record for name, record in found.items() if record is not None}
    if missing:
        raise SystemExit(f"Failed: {', '.join(missing)}. Everything else is recorded.")
    return records


def _recorded(suite: str, name: str, arguments: dict, folder: Path, stamp: str) -> dict | None:
    """Return the record of a cell, measuring it where there is none that counts."""
    identity = hashlib.sha256(f"{name} {json.dumps(arguments)}".encode())
    path = folder / f"{identity.hexdigest()[:16]}.json"
    wanted = {"fingerprint": stamp, "arguments": arguments}
    if path.exists():
        record = json.loads(path.read_text())
        if wanted.items() <= record.items():
            return record
    if not _run(suite, arguments, path, stamp):
        print(f"{name}: FAILED", flush=True)
        return None
    record = json.loads(path.read_text())
    print(f"{name}: {record['seconds']:.0f} s", flush=True)
    return record


def _run(suite: str, arguments: dict, path: Path, stamp: str) -> bool:
    """Measure one cell in a process of its own; tell whether it was recorded."""
    result = path.with_suffix(".result")
    entry = str(BENCHMARKS / "run.py")
    command = [sys.executable, entry, "--cell", suite, json.dumps(arguments), str(result)]
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
