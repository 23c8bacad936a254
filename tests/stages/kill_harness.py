"""SIGKILL at random moments, then the same command again: are the tables those of a run nobody touched?

    python tests/stages/kill_harness.py --rounds 20 --tables predictions.parquet -- radpipe run small.yaml --out {out}

Every round takes a fresh folder in place of ``{out}``, kills the run itself, one of its workers or one of its cases at a
moment drawn from the seed, lets the command finish (starting it again where it was the run that was killed), runs it once
more, and compares the tables with those of a reference run. Knows nothing of the command but what processes it has.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

MARK = "RADPIPE_KILL_HARNESS"
TARGETS = ("parent", "worker", "child")
_SERVER = "radpipe.stages._child"


@dataclass(frozen=True)
class Kill:
    """after_s : since the command was started (again)."""

    target: str
    pid: int
    after_s: float


@dataclass
class Outcome:
    """exit_code : of the last start. starts : how often it was started. orphans : cmdlines alive 10 s after the command."""

    exit_code: int
    starts: int
    kills: list[Kill] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)


def kind_of(process: psutil.Process) -> str:
    """worker (Dask's), server (fork server), child (a case), or other."""
    line = " ".join(process.cmdline())
    if _SERVER in line:
        parent = process.parent()
        return "child" if parent is not None and _SERVER in " ".join(parent.cmdline()) else "server"
    return "worker" if "multiprocessing.spawn" in line or "--multiprocessing-fork" in line else "other"


def marked(token: str) -> list[psutil.Process]:
    """Every living process that was started, at whatever remove, by the command with that token."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == token and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def targets_of(root: psutil.Process, target: str) -> list[psutil.Process]:
    """The processes of that kind below ``root`` at this moment."""
    if target == "parent":
        return [root]
    found = []
    for process in root.children(recursive=True):
        try:
            if kind_of(process) == target:
                found.append(process)
        except psutil.Error:
            continue
    return sorted(found, key=lambda process: process.pid)


def run_with_kills(
    command: Sequence[str],
    env: Mapping[str, str],
    kills: int,
    seed: int,
    targets: Sequence[str] = TARGETS,
    ready_delay_range: tuple[float, float] = (0.5, 5.0),
    timeout_s: float = 1800.0,
    ready: Path | None = None,
) -> Outcome:
    """Start ``command``, kill ``kills`` times, start it again where the run itself was killed, and wait for its end.

    ready_delay_range : seconds from a start, or from the last kill, to the next kill; where ``ready`` is given, from when
    that file is there.
    """
    chance = random.Random(seed)
    token = uuid.uuid4().hex
    outcome = Outcome(0, 0)
    deadline = time.monotonic() + timeout_s
    left = kills
    while True:
        outcome.starts += 1
        started = time.monotonic()
        run = subprocess.Popen(command, env={**env, MARK: token}, start_new_session=True, stdin=subprocess.DEVNULL)
        root = psutil.Process(run.pid)
        again = False
        while left:
            target = chance.choice(list(targets))
            while ready is not None and not ready.exists() and run.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            _wait(run, chance.uniform(*ready_delay_range))
            killed = _kill_one(run, root, target, chance, deadline)
            if killed is None:  # the command ended first
                break
            outcome.kills.append(Kill(target, killed, time.monotonic() - started))
            left -= 1
            if target == "parent":
                again = True
                break
        try:
            run.wait(max(0.0, deadline - time.monotonic()))
        finally:
            if run.poll() is None:
                run.kill()
                run.wait()
        outcome.exit_code = run.returncode
        outcome.orphans += _wait_for_orphans(token)
        if not again:
            return outcome


def _wait(run: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        run.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _kill_one(
    run: subprocess.Popen[bytes], root: psutil.Process, target: str, chance: random.Random, deadline: float
) -> int | None:
    """Pid of the killed process; waits until there is one of that kind."""
    while run.poll() is None and time.monotonic() < deadline:
        try:
            found = targets_of(root, target)
            if found:
                process = chance.choice(found)
                process.kill()
                return process.pid
        except psutil.Error:
            continue
        time.sleep(0.002)
    return None


def _wait_for_orphans(token: str, seconds: float = 10.0) -> list[str]:
    """Cmdlines of what still lives ``seconds`` after the command has ended; killed before this returns."""
    until = time.monotonic() + seconds
    while (alive := marked(token)) and time.monotonic() < until:
        time.sleep(0.1)
    lines = []
    for process in alive:
        try:
            lines.append(" ".join(process.cmdline()))
            process.kill()
        except psutil.Error:
            continue
    return lines


def digests(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """SHA-256 of each named file; "missing" where there is none."""
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() if (folder / name).is_file() else "missing"
        for name in names
    }


def left_over(folder: Path) -> list[str]:
    """Temporary files and folders anywhere below."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name.endswith(".tmp") or path.name == "tmp")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--kills", type=int, default=1, help="in each round")
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--targets", nargs="+", default=list(TARGETS), choices=[*TARGETS, "server"])
    parser.add_argument("--tables", nargs="+", required=True, help="files of {out} that must be the same bytes")
    parser.add_argument("--work", type=Path, help="folder for the runs; a temporary one by default")
    parser.add_argument("command", nargs="+", help="after --, with {out} for the run's folder")
    options = parser.parse_args(arguments)
    work = options.work or Path(tempfile.mkdtemp(prefix="radpipe-kills-"))
    work.mkdir(parents=True, exist_ok=True)

    def command(out: Path) -> list[str]:
        return [part.replace("{out}", str(out)) for part in options.command]

    began = time.monotonic()
    subprocess.run(command(work / "reference"), check=True)
    duration = time.monotonic() - began
    reference = digests(work / "reference", options.tables)
    print(f"reference: {duration:.1f} s, {shlex.join(command(work / 'reference'))}", flush=True)
    bad = [name for name, digest in reference.items() if digest == "missing"]
    if bad:
        parser.error(f"the reference run made no {', '.join(bad)}")
    failed = 0
    for number in range(options.rounds):
        out = work / f"round{number}"
        delays = (0.02 * duration, 0.95 * duration / options.kills)
        outcome = run_with_kills(
            command(out), dict(os.environ), options.kills, options.seed + number, options.targets, delays, 20 * duration + 600
        )
        rerun = subprocess.run(command(out), check=False).returncode
        got = digests(out, options.tables)
        differ = [name for name in options.tables if got[name] != reference[name]]
        wrong = differ or outcome.orphans or left_over(out) or rerun or outcome.exit_code
        failed += bool(wrong)
        killed = ", ".join(f"{kill.target} at {kill.after_s:.1f} s" for kill in outcome.kills) or "nothing (it was done before)"
        verdict = "same tables"
        if wrong:
            verdict = (
                f"WRONG: differ {differ}, orphans {outcome.orphans}, left {left_over(out)}, exit {outcome.exit_code}/{rerun}"
            )
        print(f"round {number}: killed {killed}; {outcome.starts} start(s); {verdict}", flush=True)
        if not wrong:
            shutil.rmtree(out)
    print(f"{options.rounds - failed} of {options.rounds} rounds gave the same tables")
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
