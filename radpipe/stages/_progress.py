"""What a run says while it works: bars on a terminal, plain lines elsewhere, nothing when asked to be quiet."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

_LINE_EVERY = 0.1  # of the cases
_LINE_EVERY_S = 10.0


class Progress:
    """Stages and their cases, on ``stream`` (standard error by default)."""

    def __init__(self, *, quiet: bool = False, stream: IO[str] | None = None) -> None:
        self._quiet = quiet
        self._console = Console(file=stream or sys.stderr, highlight=False, soft_wrap=True, markup=False, emoji=False)
        self._began: list[float] = []  # of the stages that go on: within controls there are others

    @property
    def bars(self) -> bool:
        return self._console.is_terminal and not self._quiet

    def say(self, text: str) -> None:
        """One line for the user."""
        if not self._quiet:
            self._console.print(text)

    def start_stage(self, name: str) -> None:
        """A stage begins."""
        self._began.append(time.monotonic())
        if not self.bars:
            self.say(f"{name}: started")

    def end_stage(self, name: str, words: str) -> None:
        """A stage has ended, and how."""
        self.say(f"{name}: {words} ({time.monotonic() - self._began.pop():.1f} s)")

    def work(self, name: str, total: int) -> Work:
        """The cases (or fits) of one piece of work of a stage; use as a context manager."""
        return Work(self, self._console, name, total)


class Work:
    """Counts of one piece of work: computed now, found from an earlier run, failed."""

    def __init__(self, progress: Progress, console: Console, name: str, total: int) -> None:
        self._progress, self._name, self._total = progress, name, total
        self._began = self._spoke = time.monotonic()
        self._spoken_at = 0
        self.computed = self.found = self.failed = 0
        self._bars: Bars | None = None
        if progress.bars:
            self._bars = Bars(
                TextColumn("{task.description:<12}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=console,
                transient=True,
            )
            self._bar = self._bars.add_task(name, total=total, note="")

    def __enter__(self) -> Work:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bars is not None:
            self._bars.stop()
        elif error is not None:
            self._say("stopped at")
        elif self._spoken_at < self.finished == self._total and self.computed + self.failed:
            self._say("")

    @property
    def finished(self) -> int:
        return self.computed + self.found + self.failed

    def advance(self, *, found: bool = False, failed: bool = False) -> None:
        """One more is finished."""
        if failed:
            self.failed += 1
        elif found:
            self.found += 1
        else:
            self.computed += 1
        if self._bars is not None:
            self._bars.update(self._bar, completed=self.finished, note=self._counts())
            return
        now = time.monotonic()
        far = self.finished - self._spoken_at >= _LINE_EVERY * self._total and now - self._spoke >= 1.0
        if self.finished < self._total and (far or now - self._spoke >= _LINE_EVERY_S):
            self._say("")

    def _say(self, how: str) -> None:
        self._spoken_at, self._spoke = self.finished, time.monotonic()
        words = f"{how} {self.finished} of {self._total} ({self._counts()}), {self._spoke - self._began:.0f} s"
        self._progress.say(f"  {self._name}: {words.strip()}")

    def _counts(self) -> str:
        counts = [f"{self.computed} computed"] if self.computed or not self.found else []
        counts += [f"{self.found} found from before"] if self.found else []
        counts += [f"{self.failed} failed"] if self.failed else []
        return ", ".join(counts)
