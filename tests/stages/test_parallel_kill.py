"""kill -9 of a whole run, and of its parts, from outside."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import psutil
import pytest

HERE = Path(__file__).parent


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


harness = _load("kill_harness")
TABLES = ["extract.json", "train.json"]
CASES = 12


@pytest.fixture
def env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}


def command(out: Path, scheduler: str = "local", cases: int = CASES, seconds: float = 0.05, do: str = "good") -> list[str]:
    return [sys.executable, str(HERE / "kill_command.py"), str(out), scheduler, str(cases), str(seconds), do]


def expected(cases: int = CASES) -> dict[str, dict[str, float]]:
    return {f"case {n}": {"n": n, "third": n / 3.0} for n in range(cases)}


def check_whole(out: Path, cases: int = CASES) -> None:
    for table in TABLES:
        assert json.loads((out / table).read_text()) == expected(cases)
    assert harness.left_over(out) == []


def test_a_killed_run_leaves_no_process_and_carries_on(tmp_path: Path, env: dict[str, str]) -> None:
    out, ran = tmp_path / "run", tmp_path / "run.ran"
    outcome = harness.run_with_kills(command(out), env, 1, 7, ["parent"], (0.3, 0.3), 200, ready=ran)
    assert [kill.target for kill in outcome.kills] == ["parent"]
    assert (outcome.exit_code, outcome.starts, outcome.orphans) == (0, 2, [])
    check_whole(out)
    assert 2 * CASES <= len(ran.read_text().splitlines()) <= 2 * CASES + 2  # at most the case of each worker twice


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a case stuck in C outlives its worker until its time limit")
@pytest.mark.parametrize("target", ["parent", "worker"])
def test_cases_stuck_in_c_die_with_their_worker(target: str, tmp_path: Path, env: dict[str, str]) -> None:
    """No Python thread of such a case can run, so only the kernel can end it."""
    out = tmp_path / "run"
    env[harness.MARK] = token = f"stuck{os.getpid()}{target}"
    stuck = command(out, cases=2, do="hang_holding_the_interpreter")
    run = subprocess.Popen(stuck, env=env, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        root = psutil.Process(run.pid)
        while len(children := harness.targets_of(root, "child")) < 2:
            time.sleep(0.05)
        victims = harness.targets_of(root, target)
        for victim in victims:
            victim.kill()
        gone, alive = psutil.wait_procs(children, timeout=5)
        assert len(gone) == 2 and not alive
    finally:
        run.kill()
        run.wait()
    until = time.monotonic() + 5
    while harness.marked(token) and time.monotonic() < until:
        time.sleep(0.05)
    assert harness.marked(token) == []


@pytest.mark.parametrize("scheduler", ["local", "processes"])
def test_killed_workers_servers_and_children_cost_nothing(scheduler: str, tmp_path: Path, env: dict[str, str]) -> None:
    out = tmp_path / "run"
    targets = ["worker", "server", "child"] if scheduler == "local" else ["server", "child"]
    outcome = harness.run_with_kills(command(out, scheduler, seconds=0.3), env, 3, 11, targets, (0.3, 1.0), 200)
    assert (len(outcome.kills), outcome.exit_code, outcome.starts, outcome.orphans) == (3, 0, 1, [])
    check_whole(out)


def test_a_worker_killed_while_it_starts_costs_nothing(tmp_path: Path, env: dict[str, str]) -> None:
    out = tmp_path / "run"
    outcome = harness.run_with_kills(command(out, cases=4), env, 1, 3, ["worker"], (0.0, 0.0), 200)
    assert (len(outcome.kills), outcome.exit_code, outcome.starts, outcome.orphans) == (1, 0, 1, [])
    check_whole(out, cases=4)


def test_a_second_run_is_refused_while_the_first_lives_and_not_after(tmp_path: Path, env: dict[str, str]) -> None:
    out = tmp_path / "run"
    first = subprocess.Popen(command(out, "processes", seconds=1.0), env=env, stderr=subprocess.DEVNULL)
    try:
        while not (out / "run.json").exists():
            time.sleep(0.05)
        second = subprocess.run(command(out, "processes"), env=env, capture_output=True, text=True, check=False)
        assert second.returncode == 2
        assert f"in use by process {first.pid} on " in second.stderr
        assert "Traceback" not in second.stderr
    finally:
        first.kill()
        first.wait()
    third = subprocess.run(command(out, "processes", seconds=0.0), env=env, capture_output=True, text=True, check=False)
    assert third.returncode == 0, third.stderr
    check_whole(out)


def test_interrupt_ends_everything_soon_and_quietly(tmp_path: Path, env: dict[str, str]) -> None:
    """Ctrl-C goes to every process of the terminal: only the run itself may speak."""
    out = tmp_path / "run"
    env[harness.MARK] = token = f"interrupt{os.getpid()}"
    heed = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731  a shell's background job, as these tests may be, ignores it
    run = subprocess.Popen(
        command(out, seconds=30), env=env, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=heed
    )
    while not any(harness.kind_of(process) == "child" for process in psutil.Process(run.pid).children(recursive=True)):
        time.sleep(0.1)
    began = time.monotonic()
    os.killpg(run.pid, signal.SIGINT)
    _, words = run.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert words.count("Traceback") == 1 and "KeyboardInterrupt" in words  # the script's own, which does not catch it
    assert "distributed" not in words.split("KeyboardInterrupt")[-1]
    time.sleep(1)
    assert harness.marked(token) == []
    assert list((out / "store").glob("tmp")) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_fifty_kills_at_random_points(tmp_path: Path, env: dict[str, str]) -> None:
    """RELIABILITY R4 on the execution core: 50 rounds, each killed once somewhere and run again."""
    began = time.monotonic()
    reference = tmp_path / "reference"
    subprocess.run(command(reference, cases=20), env=env, check=True)
    duration = time.monotonic() - began
    chance = random.Random(4)
    for number in range(50):
        out = tmp_path / f"round{number}"
        target = chance.choice(["parent", "worker", "child", "server"])
        outcome = harness.run_with_kills(command(out, cases=20), env, 1, number, [target], (0.05, 0.9 * duration), 300)
        subprocess.run(command(out, cases=20), env=env, check=True)
        assert outcome.exit_code == 0 and outcome.orphans == [], (number, outcome)
        assert harness.digests(out, TABLES) == harness.digests(reference, TABLES), (number, outcome)
        assert harness.left_over(out) == [], (number, outcome)
        assert len(Path(f"{out}.ran").read_text().splitlines()) <= 40 + 2, (number, outcome)
