"""Measure speed, quality and scaling, and write down what came out.

    python benchmarks/run.py [--quick] [--out DIR] [--only SUITE]

Writes RESULTS.md, results.json and figures to DIR: the folder `results` beside this file, or
`partial` with --quick or --only. (`--only strategies` writes STRATEGIES.md and strategies.json to
`results`; so do portfolio, rivals, regression, joint, aside and parts.) Every cell runs in a
process of its own and is recorded, in `records`, when it ends: started again after an
interruption, the command goes on where it was. A record counts only for the same code, data,
versions and machine. The command exits non-zero where a bar is missed.

Measure on an idle machine. The full run takes about an hour on two cores, the strategies
another 45 minutes, the portfolio an hour and a half, --quick 3 minutes.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.harness.cells import measure_all, measure_here
from benchmarks.harness.fingerprint import environment
from benchmarks.suites import SUITES

HERE = Path(__file__).resolve().parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few cells, in 3 minutes")
    parser.add_argument("--out", type=Path, help="where to write (default: results)")
    parser.add_argument("--only", choices=SUITES, action="append", help="leave out other suites")
    parser.add_argument("--cell", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cell:
        suite, cell, path = arguments.cell
        measure_here(suite, json.loads(cell), Path(path))
        return 0
    is_whole = not (arguments.quick or arguments.only)
    stem = "RESULTS"
    on_demand = {name for name, suite in SUITES.items() if suite.is_on_demand}
    if arguments.only and set(arguments.only) <= on_demand and not arguments.quick:
        is_whole, stem = True, "-".join(arguments.only).upper()
    out = arguments.out or HERE / ("results" if is_whole else "partial")
    wanted = arguments.only or set(SUITES) - on_demand
    suites = [name for name in SUITES if name in wanted]
    # One place for the records of all runs: a suite measured alone counts for the whole.
    records_in = (arguments.out or HERE) / "records"
    measured_in = environment()
    records = measure_all(suites, arguments.quick, records_in, measured_in)
    from benchmarks.harness import pages  # pandas: not for the processes whose memory is measured

    command = " ".join(["python benchmarks/run.py", *sys.argv[1:]])
    held = pages.write(records, measured_in, command, arguments.quick, out, stem)
    print(f"written to {out / f'{stem}.md'}")
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())
