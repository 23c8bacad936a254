"""Starting weights from a file: what is taken, what is frozen, and every file that is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from radpipe.errors import FileProblem, SchemaError
from radpipe.io.models import read_weights, save_model
from radpipe.models import fit as fit_module
from radpipe.models.cnn3d.model import fit
from radpipe.models.cnn3d.transfer import Weights
from radpipe.models.config import AnnParams, Cnn3dParams

from .test_cnn3d_kinds import as_kind, bright_cubes

TRAIN, SELECTION = bright_cubes(1), bright_cubes(2, 9, start=50)
SHORT = {"epochs": 1, "minimum_epochs": 0, "batch": 9, "members": 1, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def teacher():
    return fit(TRAIN, SELECTION, Cnn3dParams(**{**SHORT, "epochs": 3, "members": 2}), seed=1)


@pytest.fixture(scope="module")
def saved(teacher, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    save_model(folder, *teacher.state())
    return folder / "weights.safetensors"


def read(path) -> Weights:
    return Weights(*read_weights(path), path=str(path))


def started(path, train=TRAIN, selection=SELECTION, **settings):
    params = Cnn3dParams(**{**SHORT, "weights": str(path), **settings})
    return fit(train, selection, params, seed=2, weights=read(path))


def state(model, member=0) -> dict[str, np.ndarray]:
    return {name: values.numpy() for name, values in model.networks[member].network.state_dict().items()}


class TestWhatIsTaken:
    def test_frozen_layers_keep_the_file_and_the_rest_learns(self, teacher, saved):
        model = started(saved, freeze=("conv1", "norm*"))
        before, after = state(teacher), state(model)
        for name in before:
            if name.startswith(("conv1", "norm")) and not name.endswith("num_batches_tracked"):  # a counter
                assert np.array_equal(before[name], after[name]), name  # batch normalisation's statistics too
        assert not np.array_equal(before["conv2.weight"], after["conv2.weight"])
        assert model.summary["transfer"][0]["frozen"][0] == "conv1.weight"
        assert model.summary["transfer"][0]["head"] == "from the file"

    def test_with_no_step_to_take_it_is_the_teacher(self, teacher, saved):
        """A learning rate of almost nothing: what the file says is what is said."""
        model = started(saved, learning_rate=1e-30, weight_decay=0, members=2)
        for member in (0, 1):
            for name in ("conv1.weight", "conv2.weight", "head.weight"):
                np.testing.assert_array_equal(state(teacher, member)[name], state(model, member)[name])

    def test_members_start_from_the_files_members_in_turn(self, saved):
        model = started(saved, members=3)
        assert [row["member"] for row in model.summary["transfer"]] == [0, 1, 0]

    def test_a_head_of_another_shape_is_made_anew(self, teacher, saved):
        model = started(saved, as_kind(TRAIN, "number"), as_kind(SELECTION, "number"), learning_rate=1e-30, weight_decay=0)
        assert model.summary["transfer"][0]["head"] == "made anew"
        assert state(model)["head.weight"].shape == (1, 48)
        np.testing.assert_array_equal(state(teacher)["conv2.weight"], state(model)["conv2.weight"])

    def test_the_plain_state_of_a_network_will_do(self, teacher, tmp_path):
        save_file({name: np.ascontiguousarray(v) for name, v in state(teacher).items()}, str(tmp_path / "plain.safetensors"))
        model = started(tmp_path / "plain.safetensors", learning_rate=1e-30, weight_decay=0)
        np.testing.assert_array_equal(state(teacher)["conv1.weight"], state(model)["conv1.weight"])

    def test_through_the_code_path_of_a_fold(self, saved):
        params = Cnn3dParams(**SHORT, weights=str(saved)).model_dump(mode="json")
        everyone = {"case_ids": TRAIN.case_ids + SELECTION.case_ids, "y": [*TRAIN.y, *SELECTION.y], "n_classes": 3}
        result = fit_module.fit_and_predict(
            params, patient_ids=everyone["case_ids"], roles=["train"] * 18 + ["selection"] * 9, table=None,
            images=np.concatenate([TRAIN.images, SELECTION.images]), seed=2, weights=read(saved), **everyone,
        )  # fmt: skip
        assert result.info["facts"]["transfer"][0]["arrays"] > 0 and len(result.probabilities) == 27


class TestWhatIsRefused:
    def test_another_network(self, saved):
        with pytest.raises(FileProblem, match=r"another network: they were saved as 'plaincnn3d'.*network is 'resnet3d'"):
            started(saved, network="resnet3d")

    def test_the_same_network_of_another_width(self, saved):
        with pytest.raises(FileProblem, match=r"another network: conv1.weight is \(8, 1, 3, 3, 3\) in the file and \(4, 1"):
            started(saved, network_params={"channels": [4, 16]})

    def test_the_same_network_with_another_input(self, saved):
        two = [
            type(part)(part.case_ids, part.patient_ids, part.y, images=np.repeat(part.images, 2, axis=1), n_classes=3)
            for part in (TRAIN, SELECTION)
        ]
        with pytest.raises(FileProblem, match=r"conv1.weight is \(8, 1, .*mask_channel"):
            started(saved, *two)

    @pytest.mark.parametrize(
        ("change", "told"), [(-1, "arrays of the plaincnn3d are not in the file"), (1, "that the plaincnn3d does not")]
    )
    def test_more_or_fewer_layers(self, teacher, tmp_path, change, told):
        arrays = {name: np.ascontiguousarray(v) for name, v in state(teacher).items()}
        if change < 0:
            del arrays["conv2.weight"]
        else:
            arrays["conv9.weight"] = arrays["conv2.weight"]
        save_file(arrays, str(tmp_path / "w.safetensors"))
        with pytest.raises(FileProblem, match=told):
            started(tmp_path / "w.safetensors")

    def test_a_model_of_another_kind(self, tmp_path):
        save_model(
            tmp_path, {"member_0.0.weight": np.zeros((3, 2))}, {"kind": "ann", "params": AnnParams().model_dump(mode="json")}
        )
        with pytest.raises(FileProblem, match="holds a model of kind ann"):
            started(tmp_path / "weights.safetensors")

    def test_numbers_that_are_none(self, teacher, tmp_path):
        arrays = {name: np.array(v) for name, v in state(teacher).items()}
        arrays["conv1.weight"][0] = np.nan
        save_file(arrays, str(tmp_path / "w.safetensors"))
        with pytest.raises(FileProblem, match=r"conv1.weight is not of finite numbers"):
            started(tmp_path / "w.safetensors")

    def test_a_type_that_numpy_does_not_have(self, tmp_path):
        from safetensors.torch import save_file as save_torch

        save_torch({"conv1.weight": torch.zeros(2, dtype=torch.bfloat16)}, str(tmp_path / "w.safetensors"))
        with pytest.raises(FileProblem, match=r"type of the array 'conv1.weight' \(BF16\).*float32"):
            read_weights(tmp_path / "w.safetensors")

    def test_a_pytorch_file(self, teacher, tmp_path):
        torch.save(teacher.networks[0].state_dict(), tmp_path / "model.pt")
        with pytest.raises(FileProblem, match=r"PyTorch file .*not safetensors; it is not opened"):
            read_weights(tmp_path / "model.pt")

    @pytest.mark.parametrize("content", [b"", b"no weights at all", b"\x08\x00\x00\x00\x00\x00\x00\x00{}"])
    def test_no_safetensors(self, tmp_path, content):
        (tmp_path / "w.safetensors").write_bytes(content + b"rubbish" * bool(content))
        with pytest.raises(FileProblem, match="not a whole safetensors file"):
            read_weights(tmp_path / "w.safetensors")

    def test_cut_short(self, saved, tmp_path):
        (tmp_path / "w.safetensors").write_bytes(saved.read_bytes()[:-100])
        with pytest.raises(FileProblem, match="not a whole safetensors file"):
            read_weights(tmp_path / "w.safetensors")

    def test_a_newer_version(self, tmp_path):
        save_file({"a": np.zeros(1)}, str(tmp_path / "w.safetensors"), metadata={"radpipe": json.dumps({"radpipe_model": 99})})
        with pytest.raises(FileProblem, match=r"newer radpipe \(model version 99.*Install a newer radpipe"):
            read_weights(tmp_path / "w.safetensors")

    def test_no_file(self, tmp_path):
        with pytest.raises(FileProblem, match=r"does not exist.*workflow's folder"):
            read_weights(tmp_path / "none.safetensors")

    def test_a_pattern_without_a_layer(self, saved):
        with pytest.raises(SchemaError, match=r"'layer1' matches no layer.*layers are: conv1, norm1, conv2, norm2, head"):
            started(saved, freeze=("layer1",))

    def test_everything_frozen(self, saved):
        with pytest.raises(SchemaError, match="freezes every layer"):
            started(saved, freeze=("*",))

    def test_freezing_what_was_drawn_at_random(self):
        with pytest.raises(ValueError, match="name it in weights"):
            Cnn3dParams(freeze=("conv1",))


def test_the_file_is_the_same_from_run_to_run(teacher, saved, tmp_path):
    save_model(tmp_path, *teacher.state())
    assert (tmp_path / "weights.safetensors").read_bytes() == saved.read_bytes()
