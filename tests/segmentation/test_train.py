import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from radpipe.errors import EmptyRoiError, RadpipeError, SchemaError
from radpipe.segmentation.config import SegmentationSettings
from radpipe.segmentation.metrics import dice
from radpipe.segmentation.postprocess import to_mask
from radpipe.segmentation.train import Segmenter, fit_segmenter, pad_to_multiple

SPACING = (5.0, 5.0, 5.0)
TOY = SegmentationSettings(epochs=12, batch_size=2, learning_rate=2e-2, network_params={"channels": [8, 16]}, threshold=0.5)
QUICK = TOY.model_copy(update={"epochs": 2})


def sphere(seed, shape=(16, 18, 20)):
    """A faint sphere in noise, anywhere, of any size: to find it takes looking."""
    rng = np.random.default_rng(seed)
    radius = rng.uniform(3, 6)
    centre = [rng.uniform(radius, n - radius) for n in shape]
    grid = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    mask = sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= radius**2
    return (rng.normal(0, 1, shape) + 2.0 * mask).astype(np.float32), mask


@pytest.fixture(scope="module")
def trained():
    return fit_segmenter([sphere(seed, (16, 16 + seed, 18)) for seed in range(8)], TOY, seed=1)


def test_it_learns_spheres_in_noise(trained):
    found = [dice(to_mask(trained.predict(image), TOY, SPACING), mask) for image, mask in map(sphere, range(100, 106))]
    assert np.mean(found) > 0.8
    assert trained.history[-1] < 0.5 * trained.history[0]


def test_a_threshold_alone_would_not_do():
    """The toy is not won by thresholding, so the test above says something about the network."""
    best = max(np.mean([dice(image > t, mask) for image, mask in map(sphere, range(100, 106))]) for t in np.linspace(0, 4, 41))
    assert best < 0.6


def test_probabilities_of_any_size_are_whole_and_bounded(trained):
    for shape in [(16, 18, 20), (5, 9, 33), (1, 1, 1), (60, 20, 20)]:
        probability = trained.predict(np.random.default_rng(0).normal(size=shape).astype(np.float32))
        assert probability.shape == shape and probability.dtype == np.float32
        assert np.isfinite(probability).all() and probability.min() >= 0 and probability.max() <= 1


def test_sliding_over_patches_agrees_with_one_look(trained):
    """A window of one patch and the same sphere in a larger image that needs several."""
    image, mask = sphere(200)
    rng = np.random.default_rng(7)
    large = rng.normal(0, 1, (40, 40, 60)).astype(np.float32)
    large[10:26, 9:27, 21:41] = image
    place = np.zeros(large.shape, bool)
    place[10:26, 9:27, 21:41] = mask
    settings = TOY.model_copy(update={"patch_voxels": (24, 24, 24), "flip_average": False})
    sliding = Segmenter(trained.network, settings)
    assert dice(to_mask(sliding.predict(large), settings, SPACING), place) > 0.75


def test_mirrored_images_give_mirrored_outlines(trained):
    """The average over 8 mirror images is the same for each of them, but for the order of summation."""
    image, _ = sphere(201, (16, 16, 16))
    probability = trained.predict(image)
    for axis in range(3):
        assert np.allclose(trained.predict(np.flip(image, axis)), np.flip(probability, axis), atol=1e-5)


def test_save_and_load_give_identical_predictions(trained, tmp_path):
    arrays, info = trained.state()
    np.savez(tmp_path / "weights.npz", **arrays)
    (tmp_path / "info.json").write_text(json.dumps(info))
    loaded = Segmenter.from_state(dict(np.load(tmp_path / "weights.npz")), json.loads((tmp_path / "info.json").read_text()))
    image, _ = sphere(300)
    assert np.array_equal(loaded.predict(image), trained.predict(image))
    assert loaded.settings == trained.settings and loaded.history == trained.history


def test_the_state_is_a_copy(trained):
    arrays, _ = trained.state()
    before = trained.predict(sphere(300)[0])
    for array in arrays.values():
        array += 1
    assert np.array_equal(trained.predict(sphere(300)[0]), before)


def test_weights_of_another_network_are_refused(trained):
    arrays, info = trained.state()
    wider = {**info, "settings": {**info["settings"], "network_params": {"channels": [8, 32]}}}
    with pytest.raises(SchemaError, match=r"has shape .* expected"):
        Segmenter.from_state(arrays, wider)
    with pytest.raises(SchemaError, match="expected"):
        Segmenter.from_state({name: arrays[name] for name in list(arrays)[1:]}, info)
    with pytest.raises(SchemaError, match="no segmenter"):
        Segmenter.from_state(arrays, {**info, "kind": "ann"})


def test_same_seed_same_bytes_and_torch_is_left_as_it_was():
    examples = [sphere(seed) for seed in range(3)]
    torch.manual_seed(5)
    threads, state, switch = torch.get_num_threads(), torch.random.get_rng_state(), torch.are_deterministic_algorithms_enabled()
    first = fit_segmenter(examples, QUICK, seed=3)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (threads, switch)
    torch.manual_seed(6)
    np.random.seed(6)  # noqa: NPY002 (another library may do so; it must not matter)
    second = fit_segmenter(examples, QUICK, seed=3)
    other = fit_segmenter(examples, QUICK, seed=4)
    a, b, c = (fit.state()[0] for fit in (first, second, other))
    assert all(a[name].tobytes() == b[name].tobytes() for name in a)
    assert any(a[name].tobytes() != c[name].tobytes() for name in a)


def test_another_process_with_more_threads_gives_the_same_bytes():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_train import QUICK, digest, fit_segmenter, sphere\n"
        "print(digest(fit_segmenter([sphere(seed) for seed in range(3)], QUICK, seed=3)))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "2", "PYTHONDONTWRITEBYTECODE": "1"}
    there = subprocess.run(
        [sys.executable, "-c", program, str(Path(__file__).parent)], capture_output=True, text=True, check=True, env=environment
    )
    assert there.stdout.strip() == digest(fit_segmenter([sphere(seed) for seed in range(3)], QUICK, seed=3))


def digest(segmenter):
    arrays, _ = segmenter.state()
    return hashlib.sha256(b"".join(arrays[name].tobytes() for name in sorted(arrays))).hexdigest()


def test_progress_is_told():
    told = []
    fitted = fit_segmenter([sphere(0), sphere(1)], QUICK, seed=0, on_epoch=lambda epoch, loss: told.append((epoch, loss)))
    assert [epoch for epoch, _ in told] == [1, 2]
    assert tuple(loss for _, loss in told) == fitted.history


def test_what_cannot_be_trained_on_is_refused():
    image, mask = sphere(0)
    with pytest.raises(RadpipeError, match="no case"):
        fit_segmenter([], QUICK, seed=0)
    with pytest.raises(EmptyRoiError, match="outline 2 is empty"):
        fit_segmenter([(image, mask), (image, np.zeros_like(mask))], QUICK, seed=0)
    with pytest.raises(RadpipeError, match=r"image 1 has shape \(16, 18, 20\), its outline \(15, 18, 20\)"):
        fit_segmenter([(image, mask[1:])], QUICK, seed=0)
    broken = image.copy()
    broken[3, 3, 3] = np.nan
    with pytest.raises(RadpipeError, match="image 1 holds NaN"):
        fit_segmenter([(broken, mask)], QUICK, seed=0)


def test_an_image_of_one_value_trains_and_predicts(trained):
    flat = np.full((8, 8, 8), 3.0, np.float32)
    mask = np.zeros((8, 8, 8), bool)
    mask[2:4] = True
    assert np.isfinite(fit_segmenter([(flat, mask)], QUICK, seed=0).history).all()
    assert np.isfinite(trained.predict(flat)).all()


@pytest.mark.filterwarnings("ignore:(overflow|invalid value):RuntimeWarning")
def test_a_diverging_training_is_told():
    image, mask = sphere(0)
    with pytest.raises(RadpipeError, match="diverged in epoch 1"):
        fit_segmenter([(np.sign(image) * np.float32(3e38), mask)], TOY, seed=0)


@pytest.mark.parametrize("multiple", [1, 8])
def test_padding_is_air_and_is_cut_off_again(multiple):
    image = np.random.default_rng(0).normal(size=(5, 8, 11)).astype(np.float32) - 100
    grown, inside = pad_to_multiple(image, multiple)
    assert all(n % multiple == 0 for n in grown.shape)
    assert np.array_equal(grown[inside], image)
    assert grown.min() == image.min()
