"""Work shared out among threads: nothing is lost, done twice or waited for in vain, and pieces come before new work."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np
import pytest

from radpipe.core.grid import Grid
from radpipe.core.image import Image, Mask
from radpipe.errors import RadpipeError
from radpipe.features.config import FeatureSettings
from radpipe.features.extract import extract_row
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


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_error_is_that_of_the_first_image_that_fails(threads):
    """Square comes after LoG in the parameters and is sooner done; of two widths too large for the image the first is told."""
    grid = Grid((4, 9, 9), (1.0, 1.0, 1.0))
    image = Image(grid, np.random.default_rng(0).normal(100, 20, grid.shape))
    mask = Mask(grid, np.ones(grid.shape, bool))
    params = {"imageType": {"Original": {}, "LoG": {"sigma": [1.0, 9.0, 11.0]}, "Square": {}, "Gradient": {}}}
    with pytest.raises(RadpipeError, match=r"sigma 9\.0 mm needs an image of at least 10"):
        extract_row(image, mask, FeatureSettings(params=params), threads=threads)


class Untold:
    """As an array: telling it takes longer than the work."""

    def __repr__(self):
        raise AssertionError("nobody asks")


def test_what_a_piece_works_on_is_never_told():
    """Looking for a piece that another thread has begun must not make an error text of it."""
    begun = threading.Event()

    def mine(data):
        return begun.wait(PATIENCE)

    def theirs(data):
        begun.set()
        return 2

    with sharing(2) as share:
        assert share.all([partial(mine, Untold()), partial(theirs, Untold())]) == [True, 2]


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
