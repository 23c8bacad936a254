"""Tasks, children, workers: real processes, no mocks."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from radpipe.core.keys import content_key
from radpipe.errors import RunError
from radpipe.io.store import Store
from radpipe.stages import _pool
from radpipe.stages._attempt import Servers, run_task
from radpipe.stages._parallel import MapResult, Task, map_tasks, reconcile
from radpipe.stages._pool import Pool

HERE = Path(__file__).parent
FUNCTION = "task_functions:work"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))


def task(n: int, do: str = "good", **more: Any) -> Task:
    limits = {name: more.pop(name) for name in ("memory_mb", "timeout_s") if name in more}
    payload = {"n": n, "do": do, **more}
    return Task(f"case {n}", content_key(n=n, do=do), payload, case_id=f"case {n}", path=f"/data/{n}.nii", **limits)


def run(tasks: list[Task], store: Store, pool: Pool, **more: Any) -> MapResult:
    return map_tasks(tasks, stage="extract", function=FUNCTION, pool=pool, store=store, **{"preload": "bare", **more})


def tree(root: Path) -> dict[str, str]:
    """Every file below, by relative name, with its checksum."""
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(root.rglob("*")) if p.is_file()}


def descendants() -> set[int]:
    """Alive, and without multiprocessing's own helper, which lives as long as the interpreter that first needed it."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if not any("resource_tracker" in part for part in process.cmdline()):
                found.add(process.pid)
    return found


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """One Dask cluster of two workers for all tests that leave it whole."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    with Pool(2, memory_mb=2000, timeout_s=60) as pool:
        yield pool


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


POISONS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "segfault": ("segfault", {}, "crash", "SIGSEGV"),
    "abort": ("signal_itself", {"signal": int(signal.SIGABRT)}, "crash", "SIGABRT"),
    "exit": ("exit_at_once", {}, "crash", "exit code 7"),
    "hang": ("hang", {"timeout_s": 1.0}, "timeout", "1 s"),
    "hang in C": ("hang_holding_the_interpreter", {"timeout_s": 1.0}, "timeout", "1 s"),
    "eats memory": ("eat", {"memory_mb": 600.0}, "memory", "600 MB"),
    "MemoryError": ("memory_error", {}, "memory", "memory"),
    "known": ("known_problem", {}, "file", "it is cut short."),
    "unknown": ("unknown_problem", {}, "unexpected", "KeyError: ... (task_functions.py"),
}


@pytest.mark.parametrize("scheduler", ["local", "processes"])
def test_poison_is_classed_and_costs_no_other(scheduler: str, store: Store, pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "radpipe")
    poison = [task(100 + i, do, **more) for i, (do, more, _, _) in enumerate(POISONS.values())]
    good = [task(n) for n in range(40)]
    mixed = good[:10] + poison[:4] + good[10:20] + poison[4:] + good[20:]
    if scheduler == "local":
        result = run(mixed, store, pool)
    else:
        with Pool(2, scheduler="processes", memory_mb=2000, timeout_s=60) as processes:
            result = run(mixed, store, processes)
    assert list(result.done) == [item.task_id for item in good]
    for n in range(40):
        stored = result.done[f"case {n}"]
        assert stored.row == {"n": n, "third": n / 3.0}
        assert stored.file("deep/values.bin").read_bytes() == bytes(range(n))
    assert [row["case_id"] for row in result.failures] == [item.task_id for item in poison]
    for row, (name, (_, _, kind, words)) in zip(result.failures, POISONS.items(), strict=True):
        assert row["error"] == kind, (name, row)
        assert words in row["problem"], (name, row)
        assert row["hint"], row
        assert "Traceback" not in str(row)
        assert "\n" not in str(row)
    assert "Traceback" in caplog.text  # of the unknown one, for the log
    assert "Current thread" in caplog.text  # where the segmentation fault was
    reconcile("extract", [item.task_id for item in mixed], result.done, [row["case_id"] for row in result.failures])
    assert not list(store.session_folder.glob("extract-*"))


def test_limits_threads_and_preload_of_a_child(store: Store, pool: Pool) -> None:
    row = run([task(1, "facts")], store, pool, preload="light").done["case 1"].row
    assert "light" in row["preloaded"] and "torch" not in row["preloaded"]
    assert {"numpy", "SimpleITK", "numba", "radpipe.features.extract"} <= set(row["modules"])
    assert {"OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"} <= set(row["threads"])
    assert set(row["threads"].values()) == {"1"}
    assert (row["itk"], row["core"], row["cpu_s"]) == (1, 0, 150)
    assert row["numpy"] == 1.5 and math.isnan(row["nan"])


def test_a_server_loads_more_on_top_and_then_serves_both(store: Store) -> None:
    with Pool(1, scheduler="processes") as pool:
        first, second, third = (
            run([task(n, "facts")], store, pool, preload=kind).done[f"case {n}"].row
            for n, kind in enumerate(["bare", "light", "bare"])
        )
    assert [("light" in row["preloaded"], "radpipe.features.extract" in row["modules"]) for row in (first, second, third)] == [
        (False, False),
        (True, True),
        (True, True),
    ]
    assert first["server"] == second["server"] == third["server"]


def test_a_rerun_starts_no_worker_and_computes_nothing(store: Store, pool: Pool) -> None:
    tasks = [task(n) for n in range(5)]
    first = run(tasks, store, pool)
    with Pool(2) as unused:
        second = run(tasks, store, unused)
        assert not unused.started
    assert second.done == first.done
    assert (first.computed, second.computed) == (5, 0)


def test_tasks_of_one_key_run_once_and_keep_their_own_names(store: Store, pool: Pool, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    twins = [Task(name, content_key(n=3), {"n": 3, "ran": str(ran)}, case_id=name) for name in ("a", "b")]
    result = run(twins, store, pool)
    assert result.done["a"].row == result.done["b"].row == {"n": 3, "third": 1.0}
    assert len(ran.read_text().splitlines()) == result.computed == 1
    bad = [Task(name, content_key(n=4), {"n": 4, "do": "known_problem"}, case_id=name, path=f"/{name}") for name in ("a", "b")]
    assert [(row["case_id"], row["path"]) for row in run(bad, store, pool).failures] == [("a", "/a"), ("b", "/b")]


def test_a_task_id_may_stand_once(store: Store, pool: Pool) -> None:
    with pytest.raises(RunError, match="more than once"):
        run([task(1), task(1)], store, pool)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_child_killed_once_from_outside_costs_nothing(number: int, store: Store, pool: Pool, tmp_path: Path) -> None:
    tasks = [task(0, "once", signal=int(number), flag=str(tmp_path / "flag")), *(task(n) for n in range(1, 6))]
    result = run(tasks, store, pool)
    assert not result.failures and len(result.done) == 6
    assert result.timings[0]["tries"] == 2


def test_a_crash_gets_two_tries_and_a_timeout_one(store: Store, pool: Pool, tmp_path: Path) -> None:
    crash, slow = tmp_path / "crash", tmp_path / "slow"
    run([task(0, "segfault", ran=str(crash)), task(1, "hang", ran=str(slow), timeout_s=0.5)], store, pool)
    assert len(crash.read_text().splitlines()) == 2
    assert len(slow.read_text().splitlines()) == 1


def test_a_killed_fork_server_costs_nothing(store: Store, pool: Pool, tmp_path: Path) -> None:
    result = run([task(0, "kill_server", flag=str(tmp_path / "flag")), *(task(n) for n in range(1, 6))], store, pool)
    assert not result.failures and len(result.done) == 6


def test_a_killed_worker_costs_no_task(store: Store, pool: Pool, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    tasks = [task(n, seconds=0.05, ran=str(ran)) for n in range(30)]
    tasks[3] = task(3, "kill_worker", once=str(tmp_path / "once"), ran=str(ran))
    result = run(tasks, store, pool)
    assert not result.failures and len(result.done) == 30
    # At most the case that each worker was at is computed again.
    assert len(ran.read_text().splitlines()) <= 30 + 1


def test_a_worker_asked_again_for_a_stored_result_computes_nothing(store: Store, tmp_path: Path) -> None:
    """Dask asks again when the worker that held a finished task's status dies before the status was fetched."""
    ran = tmp_path / "ran"
    item = task(1, ran=str(ran))
    spec = {
        "store": str(store.root), "session": store.session, "stage": "extract", "key": item.key, "function": FUNCTION,
        "payload": dict(item.payload), "preload": "bare", "memory_mb": 2000, "timeout_s": 60,
    }  # fmt: skip
    servers = Servers()
    try:
        first, second = run_task(spec, servers), run_task(spec, servers)
    finally:
        servers.close()
    assert first["ok"] and second["ok"]
    assert len(ran.read_text().splitlines()) == 1


def test_a_task_that_kills_its_worker_every_time_is_classed(store: Store, pool: Pool) -> None:
    result = run([task(0, "kill_worker"), *(task(n, seconds=0.1) for n in range(1, 20))], store, pool)
    assert [row["case_id"] for row in result.failures] == ["case 0"]
    assert result.failures[0]["error"] == "crash" and "worker was killed 3 times" in result.failures[0]["problem"]
    assert len(result.done) == 19
    assert not list(store.session_folder.glob("extract-*"))


def test_one_and_two_workers_and_no_dask_give_the_same_bytes(tmp_path: Path, pool: Pool) -> None:
    tasks = [task(n) for n in range(12)]
    trees = []
    for name, chosen in (("two", pool), ("one", Pool(1)), ("processes", Pool(2, scheduler="processes"))):
        with Store(tmp_path / name) as store:
            if chosen is pool:
                run(tasks, store, chosen)
            else:
                with chosen:
                    run(list(reversed(tasks)), store, chosen)
        trees.append(tree(tmp_path / name))
    assert trees[0] == trees[1] == trees[2]
    assert len(trees[0]) == 24  # nothing else is left, no temporary folder and no lock


def test_a_frozen_worker_is_noticed_and_its_work_done_again(store: Store, tmp_path: Path) -> None:
    before = descendants()
    with Pool(2, stall_s=4.0) as pool:
        result = run([task(0, "stop_worker", flag=str(tmp_path / "flag")), *(task(n) for n in range(1, 6))], store, pool)
    assert not result.failures and len(result.done) == 6
    assert descendants() <= before


@pytest.fixture
def scheduler_of_others(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A Dask scheduler and two nannies with a worker each, started as somebody else would; their address and the nannies."""
    where = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(where), "--host", "127.0.0.1",
              "--nthreads", "1", "--no-dashboard", "--local-directory", str(tmp_path)]  # fmt: skip
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = [subprocess.Popen([*dask, "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(where)], **quiet)]
    nannies = [subprocess.Popen(worker, **quiet) for _ in range(2)]
    try:
        until = time.monotonic() + 60
        while not where.exists() and time.monotonic() < until:
            time.sleep(0.05)
        yield json.loads(where.read_text())["address"], nannies
    finally:
        for process in [*nannies, *started]:
            process.kill()
            process.wait()


def test_a_scheduler_elsewhere_and_a_nanny_killed(
    store: Store, scheduler_of_others: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    address, nannies = scheduler_of_others
    with Pool(scheduler=address, stall_s=60) as pool:
        result = run([task(n) for n in range(6)], store, pool)
        assert len(result.done) == 6 and not result.failures
        killer = threading.Timer(1.0, nannies[0].kill)
        killer.start()
        result = run([task(n, seconds=0.2) for n in range(10, 30)], store, pool)
        killer.join()
    assert len(result.done) == 20 and not result.failures
    assert nannies[1].poll() is None  # it is theirs, and goes on


def test_a_scheduler_that_is_not_there(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pool, "CONNECT_S", 1)
    with (
        Pool(scheduler="tcp://127.0.0.1:1") as pool,
        pytest.raises(RunError, match=r"tcp://127.0.0.1:1 cannot be used \(Timed out"),
    ):
        run([task(1)], store, pool)


def test_one_process_can_run_one_pool_after_another() -> None:
    """Dask's configuration is one for the process: a pool that ends must leave it as it was."""
    script = """
import os
import dask.config
from radpipe.stages._pool import Pool
if __name__ == "__main__":
    os.environ["__DASK_PARENT_PID"] = str(os.getpid())  # Dask's own mark
    environment = dict(os.environ)
    for _ in range(2):
        with Pool(1) as pool:
            pool.start("/tmp")
        assert dask.config.get("distributed.scheduler.allowed-failures") == 3
        assert dict(os.environ) == environment
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr


def test_nothing_listens_to_other_machines(store: Store, pool: Pool) -> None:
    run([task(1)], store, pool)
    ours = [psutil.Process(), *psutil.Process().children(recursive=True)]
    listening = [c.laddr for p in ours for c in p.net_connections(kind="inet") if c.status == psutil.CONN_LISTEN]
    assert listening
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_a_full_disk_ends_the_run_with_one_message(store: Store, tmp_path: Path) -> None:
    with Pool(2, scheduler="processes") as pool, pytest.raises(RunError, match="the disk is full") as caught:
        run([task(0, "disk_full"), *(task(n, seconds=0.1) for n in range(1, 200))], store, pool)
    assert "carry" in caught.value.hint or "kept" in caught.value.hint


def test_what_cannot_be_loaded_ends_the_run_with_one_message(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numba.py").write_text("raise ImportError('broken on purpose')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Pool(2, scheduler="processes") as pool, pytest.raises(RunError, match=r"needs \(ImportError: broken on purpose\)"):
        run([task(n) for n in range(10)], store, pool, preload="light")


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where the store should be")
    with Pool(1, scheduler="processes") as pool, pytest.raises(RunError, match=r"cannot be written|may not be written"):
        run([task(0)], Store(tmp_path / "store"), pool)


def test_the_log_of_a_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "logs" / "run.log"
    with Store(tmp_path / "store") as store, Pool(1, scheduler="processes", log=log) as pool:
        run([task(0, "unknown_problem")], store, pool)
    assert "Traceback" in log.read_text()
    assert capfd.readouterr() == ("", "")


def test_reconcile() -> None:
    reconcile("extract", ["a", "b", "c"], ["a"], ["b"], ["c"])
    for done, failed in ((["a"], ["b"]), (["a", "b", "c", "c"], []), (["a", "b"], ["b", "c"]), (["a", "b", "c", "d"], [])):
        with pytest.raises(RunError, match="extract: 3 cases went in"):
            reconcile("extract", ["a", "b", "c"], done, failed)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["segfault", "exit", "hang", "eats memory"])
def test_three_poison_among_two_hundred_five_times(name: str, tmp_path: Path, pool: Pool) -> None:
    """RELIABILITY R6: all others done, the three classed, and no more time lost than their limits allow."""
    do, more, kind, _ = POISONS[name]
    poison = {f"case {n}": do for n in (17, 90, 171)}
    for repeat in range(5):
        mixed = [task(n, do, **more) if f"case {n}" in poison else task(n) for n in range(200)]
        with Store(tmp_path / f"store{repeat}") as store:
            result = run(mixed, store, pool)
        assert len(result.done) == 197
        assert [(row["case_id"], row["error"]) for row in result.failures] == [(case_id, kind) for case_id in poison]
        # What the poison cost, and not the wall time of 200 cases: that doubles when somebody else uses the machine.
        lost_s = sum(timing["wall_s"] for timing in result.timings if timing["task_id"] in poison)
        assert lost_s <= 3 * more.get("timeout_s", 3.0) + 3
