"""Work shared out among threads: nothing is lost, done twice or waited for in vain, and pieces come before new work."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np
import pytest

from radpipe.features.share import ALONE, cut, sharing

PATIENCE = 20  # seconds, after which a test that hangs fails


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_work_is_done_once_and_results_keep_their_order(threads):
    done = []

    def work(number):
        done.append(number)
        return number * number

    with sharing(threads) as share:

        def nested(first):
            return sum(share.all([partial(work, first + k) for k in range(4)]))

        results = [share(partial(nested, 4 * k)) for k in range(6)]
        plain = share.all([partial(work, 100 + k) for k in range(7)])
        assert [result() for result in results] == [sum(n * n for n in range(4 * k, 4 * k + 4)) for k in range(6)]
    assert plain == [n * n for n in range(100, 107)]
    assert sorted(done) == [*range(24), *range(100, 107)]


def test_who_waits_for_pieces_begins_no_other_work():
    """Other work has waited for longer: it is for a thread that has nothing to do."""
    begun, go_on, done = threading.Event(), threading.Event(), []

    def busy():
        begun.set()
        assert go_on.wait(PATIENCE)

    with sharing(2) as share:
        results = [share(busy), share(lambda: done.append("other work"))]
        assert begun.wait(PATIENCE)  # the pool's thread is at the first one
        share.all([partial(done.append, "a piece"), partial(done.append, "a piece")])
        assert done == ["a piece", "a piece"]
        go_on.set()
        for result in results:
            result()
    assert done == ["a piece", "a piece", "other work"]


def test_an_error_ends_the_work_and_nobody_waits_for_ever():
    begun, go_on, done = threading.Event(), threading.Event(), []

    def asks_for_more():
        result = share(lambda: done.append("more"))
        begun.set()
        assert go_on.wait(PATIENCE)
        result()

    def fails():
        raise ValueError("as it may happen")

    def several():
        share(asks_for_more)
        assert begun.wait(PATIENCE)
        threading.Timer(0.2, go_on.set).start()
        share.drop()  # as where the caller's own work ends in an error
        share(fails)()

    with pytest.raises(ValueError, match="as it may happen"), sharing(2) as share:
        several()
    assert done == []


def test_parts_are_about_equal_and_never_empty():
    assert [part.tolist() for part in cut(np.arange(5), 8)] == [[0], [1], [2], [3], [4]]
    assert [len(part) for part in cut(np.arange(13), 4)] == [4, 3, 3, 3]
    assert ALONE.pieces == 1
