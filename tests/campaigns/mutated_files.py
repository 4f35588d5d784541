# SPDX-License-Identifier: BSD-3-Clause
"""Mutated valid files for every reader: each is read and used, or refused in one line that names it, soon.

    python tests/campaigns/mutated_files.py --executions 500000 --out build/fuzz
    python tests/campaigns/mutated_files.py --reader "model: trees" --first 500000 --executions 500000
    python tests/campaigns/mutated_files.py --show "model: trees" 1234 > file.cbn

Execution i of a reader is a function of its name, the seed and i: ranges can be run apart, and any file made again. A
reader runs in a child process with limited memory; what kills it is a finding, and the next execution goes on. Results
are appended to OUT/results.jsonl, files that are findings lie beside it. The exit status is 1 if there is one.
"""

import argparse
import contextlib
import gc
import json
import mmap
import os
import re
import resource
import shutil
import signal
import struct
import sys
import time
import traceback
import warnings
import zlib
from collections import Counter
from pathlib import Path
from random import Random

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

ROOM = 3 * 2**30  # bytes of address space that reading may take beyond what the process has
SECONDS = 5  # of the processor; an execution that takes longer is a finding
CHUNK = 25_000


class Late(BaseException):
    """No Exception, so that no reader makes a refusal of it."""


def late(*_):
    raise Late


def content_of(own, seed, index):
    """The file of execution ``index``."""
    random = Random((seed << 48) + (zlib.crc32(own.name.encode()) << 64) + index)
    return own.mutate(random, index % len(own.seeds))


def execute(own, path, content):
    """(outcome, what): "accepted", "refused" with its reason, or "finding" with its traceback."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(descriptor, content)
    os.close(descriptor)
    try:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            own.read(path)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except own.refusal as error:
        text = str(error)
        if not text.isprintable() or path.name not in text or len(text) > 1200:
            return "finding", f"message: {text!r}"
        text = text.replace(str(path), "").replace(str(path.parent), "")
        return "refused", re.sub(r"'[^']*'|\"[^\"]*\"|[\d.]+|\([^)]*\)|0x\w+", "*", text)[:90]
    except Late:
        return "finding", f"slow: more than {SECONDS} s\n" + traceback.format_exc()
    except BaseException:  # noqa: BLE001 - that is what is looked for
        return "finding", traceback.format_exc()
    return "accepted", ""


def work(own, folder, seed, first, last, out, progress):
    """Executions first .. last - 1 in this process; a line of results for every chunk."""
    signal.signal(signal.SIGPROF, late)
    warnings.simplefilter("ignore")
    path = folder / own.file
    path.parent.mkdir(parents=True, exist_ok=True)
    own.prepare(folder)
    execute(own, path, own.seeds[0])
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libraries of picture formats write there
    gc.collect(), gc.freeze(), gc.set_threshold(50_000)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, size + ROOM))
    while first < last:
        outcomes, reasons, slowest, begun = Counter(), Counter(), (0.0, -1), time.perf_counter()
        end = min(last, first + CHUNK)
        for index in range(first, end):
            progress[:8] = struct.pack("<Q", index)
            content = content_of(own, seed, index)
            start = time.process_time()
            outcome, what = execute(own, path, content)
            slowest = max(slowest, (time.process_time() - start, index))
            outcomes[outcome] += 1
            if outcome == "refused":
                reasons[what] += 1
            elif outcome == "finding":
                report(own, seed, index, content, what, out)
        append(out, {"reader": own.name, "seed": seed, "first": first, "executions": end - first, **outcomes,
                     "reasons": dict(reasons), "slowest": slowest, "seconds": time.perf_counter() - begun})  # fmt: skip
        first = end
    progress[:8] = struct.pack("<Q", last)


def report(own, seed, index, content, what, out):
    """Keeps the file and the traceback; one finding of a kind is enough to see, all are counted."""
    lines = [line.strip() for line in what.strip().splitlines()]
    where = next((line for line in reversed(lines) if line.startswith("File ")), "")
    kind = f"{lines[-1][:100]} | {where}" if not what.startswith("message") else re.sub(r"\d+", "*", what)[:100]
    place = out / "findings" / f"{zlib.crc32((own.name + kind).encode()):08x}"
    if not place.exists():
        place.mkdir(parents=True)
        (place / "file").write_bytes(content)
        (place / "what").write_text(f"{own.name}, seed {seed}, execution {index}\n{what}\n")
        print(f"FINDING {own.name} {seed} {index}: {kind}", flush=True)


def append(out, line):
    with open(out / "results.jsonl", "a") as file:
        file.write(json.dumps(line) + "\n")


def campaign(own, seed, first, last, out, folder):
    """The executions of one reader in child processes, a new one after each death."""
    progress = mmap.mmap(-1, 8)
    while first < last:
        progress[:8] = struct.pack("<Q", first)
        child = os.fork()
        if not child:
            code = 1
            with contextlib.suppress(BaseException):
                try:
                    work(own, folder, seed, first, last, out, progress)
                    code = 0
                except BaseException:  # noqa: BLE001 - of the campaign itself
                    (out / "broken").write_text(traceback.format_exc())
            os._exit(code)
        seen, since = -1, time.monotonic()
        while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
            time.sleep(0.05)
            (at,) = struct.unpack("<Q", progress[:8])
            if at != seen:
                seen, since = at, time.monotonic()
            elif time.monotonic() - since > 60:  # in C, where no alarm of Python rings
                os.kill(child, signal.SIGKILL)
                ended = os.waitpid(child, 0)
                break
        (at,) = struct.unpack("<Q", progress[:8])
        if at >= last:
            return
        what = f"the process ended with status {ended[1]}"
        report(own, seed, at, content_of(own, seed, at), what, out)
        done = first + (at - first) // CHUNK * CHUNK  # chunks before are written down already
        append(out, {"reader": own.name, "seed": seed, "first": done, "executions": at + 1 - done, "finding": 1,
                     "died": at, "reasons": {}, "slowest": [0, -1], "seconds": 0})  # fmt: skip
        first = at + 1


# ---- coverage ----


def functions_of(path):
    """The lines of every function of a Python file, by its first line."""
    found, waiting = {}, [compile(path.read_text(), str(path), "exec")]
    while waiting:
        code = waiting.pop()
        if code.co_flags & 2:  # of functions; those of a module run when it is imported
            lines = {line for *_, line in code.co_lines() if line is not None and line != code.co_firstlineno}
            found.setdefault(code.co_firstlineno, set()).update(lines)
        waiting += [constant for constant in code.co_consts if hasattr(constant, "co_lines")]
    return found


def coverage(own, folder, seed, executions):
    """(lines run, lines) of all functions of a reader's files that a sample of executions enters."""
    import cbn

    root = Path(cbn.__file__).parent
    files = [p for p in root.rglob("*.py") if str(p.relative_to(root)).startswith(own.rooms)]
    wanted, run, entered = {str(p) for p in files}, set(), set()

    def trace(frame, event, _):
        name = frame.f_code.co_filename
        if name not in wanted:
            return None
        if event == "call":
            entered.add((name, frame.f_code.co_firstlineno))
        if event == "line":
            run.add((name, frame.f_lineno))
        return trace

    signal.signal(signal.SIGPROF, late)
    path = folder / own.file
    path.parent.mkdir(parents=True, exist_ok=True)
    own.prepare(folder)
    contents = own.seeds + [content_of(own, seed, index) for index in range(executions)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.settrace(trace)
        for content in contents:
            execute(own, path, content)
        sys.settrace(None)
    functions = {(str(p), first): lines for p in files for first, lines in functions_of(p).items()}
    lines = {(name, line) for name, first in entered for line in functions.get((name, first), ())}
    return len(run & lines), len(lines)


# ---- the table ----


def table(out):
    """Prints what all runs so far have found; the number of findings."""
    rows = {}
    for text in (out / "results.jsonl").read_text().splitlines():
        line = json.loads(text)
        row = rows.setdefault(line["reader"], {"executions": 0, "accepted": 0, "refused": 0, "finding": 0, "seconds": 0.0,
                                               "slowest": 0.0, "reasons": Counter(), "coverage": ""})  # fmt: skip
        if "lines" in line:
            row["coverage"] = "{} of {}".format(*line["lines"])
            continue
        for name in ("executions", "accepted", "refused", "finding", "seconds"):
            row[name] += line.get(name, 0)
        row["slowest"] = max(row["slowest"], line["slowest"][0])
        row["reasons"].update(line["reasons"])
    print("| reader | executions | accepted | refused | reasons | findings | lines | slowest, s | seconds |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, row in rows.items():
        print(f"| {name} | {row['executions']:,} | {row['accepted']:,} | {row['refused']:,} | {len(row['reasons'])} | "
              f"{row['finding']} | {row['coverage']} | {row['slowest']:.2f} | {row['seconds']:.0f} |")  # fmt: skip
    total = sum(row["executions"] for row in rows.values())
    findings = sum(row["finding"] for row in rows.values())
    print(f"| all | {total:,} | | | | {findings} | | | {sum(row['seconds'] for row in rows.values()):.0f} |")
    return findings


def main():
    from readers import MAKERS, reader

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reader", action="append", metavar="NAME", help="may be repeated; all without it")
    parser.add_argument("--executions", type=int, default=10_000, help="of every reader")
    parser.add_argument("--first", type=int, default=0, help="number of the first execution")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--coverage", type=int, default=0, metavar="N", help="count lines in so many executions instead"
    )
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--table", action="store_true", help="only print what OUT has")
    parser.add_argument(
        "--show", nargs=2, metavar=("READER", "NUMBER"), help="write the file of an execution to stdout"
    )
    arguments = parser.parse_args()
    if arguments.show:
        name, number = arguments.show
        sys.stdout.buffer.write(content_of(reader(name), arguments.seed, int(number)))
        return 0
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    memory = Path("/dev/shm")
    folder = (memory if memory.is_dir() else out) / f"cbn-fuzz-{os.getpid()}"
    try:
        for name in [] if arguments.table else arguments.reader or MAKERS:
            own = reader(name)
            if arguments.coverage:
                lines = coverage(own, folder, arguments.seed, arguments.coverage)
                append(out, {"reader": own.name, "lines": lines})
            else:
                last = arguments.first + arguments.executions
                campaign(own, arguments.seed, arguments.first, last, out, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if table(out) else 0


if __name__ == "__main__":
    sys.exit(main())
