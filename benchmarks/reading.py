"""Reading large CSV files: CPU seconds and memory of `jitnet.data.read_table` and of libraries that read tables.

    python benchmarks/reading.py [--rounds 5]

One file has eight columns of numbers, the other eight columns of which three are text: two of a few words, and one of
names that nearly all differ. Each reader runs on one thread and in its own process, after it has read a small file, so
imports do not count; the readers take turns. The figures are the least CPU seconds, and the least of the peaks of
memory above what the process had before.
"""

import common

given = common.arguments(__doc__ or "")

import json  # noqa: E402
import os  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402

READERS = {
    "jitnet": "import jitnet; read = lambda path: jitnet.data.read_table(path, 'y')",
    "pyarrow": "import pyarrow as pa; from pyarrow import csv; pa.set_cpu_count(1); read = csv.read_csv",
    "pandas": "import pandas; read = pandas.read_csv",
    "polars": "import polars; read = polars.read_csv",
}

MEASURED = """
import json, sys, time
from pathlib import Path
small, path = sys.argv[1:]
read(small)
def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith(name))
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before, began = memory("VmRSS"), time.process_time()
table = read(path)
print(json.dumps([time.process_time() - began, memory("VmHWM") - before]))
"""


def write_files(folder: Path, rows: int) -> dict[str, Path]:
    """The two files, and their first thousandth, as name -> path."""
    import numpy as np

    rng = np.random.default_rng(0)
    numbers = rng.standard_normal((rows, 8)).round(6)
    words = np.array(["red", "green", "blue", "Buenos Aires", "x" * 20])
    two = words[rng.integers(0, len(words), (rows, 2))]
    files = {}
    for name, count in (("numbers", rows), ("text", rows), ("small numbers", 1000), ("small text", 1000)):
        files[name] = folder / f"{name.replace(' ', '_')}.csv"
        with files[name].open("w", encoding="utf-8") as file:
            if name.endswith("numbers"):
                file.write(",".join([f"x{j}" for j in range(7)] + ["y"]) + "\n")
                file.writelines(",".join(map(str, row)) + "\n" for row in numbers[:count].tolist())
            else:
                file.write("name,color,city," + ",".join(f"x{j}" for j in range(4)) + ",y\n")
                lines = zip(two[:count].tolist(), numbers[:count, :5].tolist(), strict=True)
                file.writelines(f"person {i * 7919 % rows},{a},{b},{','.join(map(str, x))}\n"
                                for i, ((a, b), x) in enumerate(lines))  # fmt: skip
    return files


def measured(reader: str, small: Path, path: Path) -> list[float]:
    """CPU seconds and megabytes of one reading, in a process of its own."""
    single = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", READERS[reader] + MEASURED, str(small), str(path)]
    done = subprocess.run(command, env=os.environ | single, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        files = write_files(Path(folder), 1_000_000)
        for name in ("numbers", "text"):
            if given.only not in name:
                continue
            size = files[name].stat().st_size / 1e6
            runs: dict[str, list[list[float]]] = {reader: [] for reader in READERS}
            for _ in range(min(given.rounds, 5)):
                for reader, of_reader in runs.items():
                    of_reader.append(measured(reader, files[f"small {name}"], files[name]))
            best = {
                reader: [min(column) for column in zip(*of_reader, strict=True)] for reader, of_reader in runs.items()
            }
            for reader, (seconds, memory) in best.items():
                rows.append({
                    "file": f"{name}, {size:.0f} MB", "reader": reader, "CPU s": f"{seconds:.2f}",
                    "× pyarrow": f"{seconds / best['pyarrow'][0]:.2f}", "peak MB": f"{memory:.0f}",
                    "× file": f"{memory / size:.1f}",
                })  # fmt: skip
                common.say(str(rows[-1]))
    common.publish("reading", given, rows)


if __name__ == "__main__":
    main()
