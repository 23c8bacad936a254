"""The end-to-end CNN: it learns, it is seeded, and its augmentation does what it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from radpipe.errors import RunError, SchemaError
from radpipe.models.cnn3d.augment import augment
from radpipe.models.cnn3d.model import fit
from radpipe.models.config import AugmentationSettings, CalibrationSettings, Cnn3dParams
from radpipe.models.model import Examples
from radpipe.networks.registry import CLASSIFIERS

STILL = {"flip": False, "shift": 0, "rotation_deg": 0, "scale": 0, "gain": 0, "offset": 0, "noise": 0}


def ten_cases(seed: int, start: int = 0) -> Examples:
    """A ball in a 16^3 box, somewhere; in half of them its core is cold. Mean and volume do not tell."""
    rng = np.random.default_rng(seed)
    ids = tuple(f"case_{start + k}" for k in range(10))
    y = np.arange(10) % 2
    images = rng.normal(size=(10, 2, 16, 16, 16)).astype(np.float32) * 0.3
    place = np.indices((16, 16, 16)).transpose(1, 2, 3, 0)
    for image, label in zip(images, y, strict=True):
        distance = np.linalg.norm(place - 7.5 - rng.uniform(-1.5, 1.5, 3), axis=-1)
        ball = distance < 5
        profile = np.where(distance < 2.5, -1.0, 3.0) if label else np.full_like(distance, 2.0)
        image[0] += np.where(ball, profile + 2 - np.mean(profile[ball]), 0).astype(np.float32)
        image[1] = ball
    return Examples(ids, ids, y, images=images)


@pytest.mark.parametrize("network", CLASSIFIERS)
def test_fits_ten_cases(network):
    train, selection = ten_cases(1), ten_cases(2, start=10)
    params = Cnn3dParams(network=network, epochs=40, minimum_epochs=40, learning_rate=0.01, batch=5, members=1)
    model = fit(train, selection, params, seed=3)
    assert roc_auc_score(train.y, model.predict_proba(train)[:, 1]) == 1.0
    assert roc_auc_score(selection.y, model.predict_proba(selection)[:, 1]) >= 0.9
    assert model.facts()["train_error"] < 0.3


def test_starts_near_the_prevalence_and_keeps_the_best_epoch():
    train = ten_cases(1)
    params = Cnn3dParams(epochs=12, minimum_epochs=2, patience=4, members=1, calibration=CalibrationSettings(recalibrate=False))
    selection = ten_cases(2, start=10)
    model = fit(train, selection, params, seed=3)
    errors = [row["selection_error"] for row in model.history]
    assert model.facts()["selection_error"] == min(errors[1:])
    p = model.predict_proba(selection)[:, 1]
    cross_entropy = -np.mean(np.log(np.where(selection.y == 1, p, 1 - p)))
    assert cross_entropy == pytest.approx(min(errors[1:]), rel=1e-6)


def test_images_of_another_size_are_refused():
    train = ten_cases(1)
    model = fit(train, ten_cases(2, start=10), Cnn3dParams(epochs=1, minimum_epochs=0), seed=0)
    smaller = Examples(("x",), ("x",), np.array([0]), images=np.zeros((1, 2, 8, 16, 16), np.float32))
    with pytest.raises(SchemaError, match=r"\(2, 8, 16, 16\), but the network was fitted on \(2, 16, 16, 16\)"):
        model.predict_proba(smaller)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_divergence_is_said():
    with pytest.raises(RunError, match="diverged in epoch"):
        fit(ten_cases(1), ten_cases(2, start=10), Cnn3dParams(epochs=30, learning_rate=1e30), seed=0)


def test_it_leaves_the_global_generator_and_threads_alone():
    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    fit(ten_cases(1), ten_cases(2, start=10), Cnn3dParams(epochs=1, minimum_epochs=0), seed=0)
    assert torch.equal(torch.get_rng_state(), before) and torch.get_num_threads() == threads


def test_networks_and_their_params_are_checked_when_the_settings_are_read():
    with pytest.raises(ValueError, match="Did you mean 'plaincnn3d'"):
        Cnn3dParams(network="plaincnn")
    with pytest.raises(ValueError, match="channel"):
        Cnn3dParams(network_params={"channel": [4]})
    assert Cnn3dParams(network_params={"channels": [4, 4]}).checked_network_params().channels == (4, 4)


class TestAugmentation:
    IMAGES = torch.rand(4, 2, 6, 8, 10, generator=torch.Generator().manual_seed(0))
    NO_MASK = torch.tensor([False, False])

    def changed(self, images=None, is_mask=NO_MASK, seed=1, **settings) -> torch.Tensor:
        images = self.IMAGES if images is None else images
        return augment(images, is_mask, AugmentationSettings(**{**STILL, **settings}), torch.Generator().manual_seed(seed))

    def test_off_is_the_identity(self):
        assert torch.equal(self.changed(), self.IMAGES)

    def test_flips_are_flips(self):
        flipped = self.changed(flip=True)
        axes = [[], [2], [3], [4], [2, 3], [2, 4], [3, 4], [2, 3, 4]]
        used = set()
        for k in range(4):
            image = self.IMAGES[k : k + 1]
            ways = [n for n, axis in enumerate(axes) if torch.allclose(flipped[k : k + 1], image.flip(axis), atol=1e-5)]
            assert len(ways) == 1
            used.add(ways[0])
        assert len(used) > 1, "each image is drawn for itself"

    @pytest.mark.parametrize("setting", [{"rotation_deg": 20.0}, {"scale": 0.3}, {"shift": 0.2}])
    def test_moves_keep_a_round_ball_round(self, setting):
        """In a box that is no cube, a ball stays a ball: equal second moments; only a shift moves its centre."""
        place = np.indices((24, 40, 56)).transpose(1, 2, 3, 0) - np.array([11.5, 19.5, 27.5])
        ball = torch.tensor(np.exp(-0.5 * (np.linalg.norm(place, axis=-1) / 3) ** 2), dtype=torch.float32)[None, None]
        moved = self.changed(ball.repeat(6, 1, 1, 1, 1), torch.tensor([False]), **setting)[:, 0].numpy()
        for image in moved:
            weight = image[..., None] / image.sum()
            centre = (weight * place).sum(axis=(0, 1, 2))
            variance = (weight * (place - centre) ** 2).sum(axis=(0, 1, 2))
            np.testing.assert_allclose(variance, variance.mean(), rtol=0.03)
            if "shift" in setting:
                assert np.all(np.abs(centre) <= np.array([24, 40, 56]) * 0.2 + 0.1) and np.abs(centre).max() > 0.5
            else:
                np.testing.assert_allclose(centre, 0, atol=0.05)
            spread = variance.mean() ** 0.5 / 3
            assert 1 / 1.35 < spread < 1 / 0.65 if "scale" in setting else spread == pytest.approx(1, rel=0.03)

    def test_a_turn_is_by_at_most_the_angle(self):
        place = np.indices((33, 33, 33)).transpose(1, 2, 3, 0) - 16.0
        rod = np.exp(-0.5 * (place[..., 1] ** 2 + place[..., 2] ** 2) / 4 - 0.5 * (place[..., 0] / 8) ** 2)
        rods = torch.tensor(rod, dtype=torch.float32)[None, None].repeat(8, 1, 1, 1, 1)
        turned = self.changed(rods, torch.tensor([False]), rotation_deg=30.0)[:, 0].numpy()
        angles = []
        for image in turned:
            flat = place.reshape(-1, 3)
            axis = np.linalg.eigh((flat * image.reshape(-1, 1)).T @ flat)[1][:, -1]
            angles.append(np.degrees(np.arccos(abs(axis[0]))))
        assert 5 < max(angles) < 45  # two turns of at most 30 degrees move the z axis

    def test_masks_move_but_keep_their_values(self):
        images = self.IMAGES.clone()
        images[:, 1] = (images[:, 1] > 0.5).float()
        changed = self.changed(images, torch.tensor([False, True]), gain=0.5, offset=2.0, noise=1.0)
        assert torch.equal(changed[:, 1], images[:, 1]) and not torch.allclose(changed[:, 0], images[:, 0])

    def test_is_seeded(self):
        everything = {"flip": True, "shift": 0.1, "rotation_deg": 10, "scale": 0.1, "gain": 0.1, "offset": 0.1, "noise": 0.1}
        assert torch.equal(self.changed(seed=4, **everything), self.changed(seed=4, **everything))
        assert not torch.equal(self.changed(seed=4, **everything), self.changed(seed=5, **everything))
