"""A small run to be killed: two stages, a table each, and a log of every try.

python kill_command.py OUT [SCHEDULER [CASES [SECONDS [WHAT THE CASES DO]]]]
"""

from __future__ import annotations

import json
import sys

from radpipe.core.keys import content_key
from radpipe.errors import RadpipeError
from radpipe.io.files import atomic_write
from radpipe.io.run_folder import RunFolder
from radpipe.io.store import Store
from radpipe.stages._parallel import Task, map_tasks, reconcile
from radpipe.stages._pool import Pool
from radpipe.stages._progress import Progress


def main(out: str, scheduler: str = "local", cases: str = "20", seconds: str = "0.05", do: str = "good") -> None:
    folder = RunFolder(out)
    with folder.lock():
        folder.claim("killed")
        with Store(folder.store) as store, Pool(2, scheduler=scheduler, log=folder.log) as pool:
            store.sweep()
            for stage in ("extract", "train"):
                tasks = [
                    Task(
                        f"case {n}",
                        content_key(stage=stage, n=n),
                        {"n": n, "seconds": float(seconds), "ran": f"{out}.ran", "do": do},
                    )
                    for n in range(int(cases))
                ]
                result = map_tasks(
                    tasks,
                    stage=stage,
                    function="task_functions:work",
                    pool=pool,
                    store=store,
                    progress=Progress(),
                    preload="bare",
                )
                reconcile(stage, [task.task_id for task in tasks], result.done, [])
                rows = {task_id: stored.row for task_id, stored in result.done.items()}
                with atomic_write(folder.path / f"{stage}.json") as temporary:
                    temporary.write_text(json.dumps(rows))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except RadpipeError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
