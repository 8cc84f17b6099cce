"""TrainConfig: the JSON that the trainer reads, and the fields that it refuses."""

import json
import math

import pytest

from digits_project.common.errors import BadInput
from digits_project.common.resources import usable_cores
from models_app.networks import BadNetwork
from models_app.training import __main__ as trainer_program
from models_app.training.config import TrainConfig
from models_app.training.hyperparameter_declaration import hyperparameters_of
from models_app.training.hyperparameters import SOLVERS
from models_app.training.learning_rate import POLICIES
from models_app.training.ranks.rank import ALONE
from tests.support.samples.training_samples import config_of, softmax_network

CORES = usable_cores()


def test_a_configuration_written_as_json_is_read_back_equal(tmp_path):
    config = config_of(
        tmp_path / "naïve", tmp_path, epochs=2.5, lr_policy="multistep", lr_multistep_values=[10, 90.5],
        devices=["gpu3"], threads=None, random_seed=2**32 - 1, use_mean="pixel", resume_from="snapshots/epoch-1",
    )  # fmt: skip
    (tmp_path / "config.json").write_text(config.to_json(), encoding="utf-8")
    back = TrainConfig.from_file(tmp_path / "config.json")
    assert back == config
    assert (back.lr_multistep_values, back.build_network()) == ((10, 90.5), softmax_network())


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"solver_type": "LBFGS"}, f"solver_type must be one of {', '.join(SOLVERS)}, not 'LBFGS'"),
        ({"use_mean": "median"}, "use_mean must be one of none, image, pixel, network, not 'median'"),
        ({"engine": "caffe"}, "engine must be one of auto, mxnet, torch, not 'caffe'"),
        ({"labels_file": None}, "there is no labels_file, though the network's labels are categories"),
        ({"image_shape": [8, 8]}, "image_shape must be channels, height and width, not [8, 8]"),
        ({"image_shape": [1, 8, 0]}, "image_shape must be channels, height and width, not [1, 8, 0]"),
        ({"mean_file": None}, "use_mean is image, but there is no mean_file"),
        ({"devices": ["tpu"]}, "a device must be cpu or gpu0, gpu1 …, not 'tpu'"),
        ({"devices": ["gpu"]}, "a device must be cpu or gpu0, gpu1 …, not 'gpu'"),
        ({"devices": "gpu0"}, "devices must be a list, not 'gpu0'"),
        ({"devices": ["gpu0", 1]}, "a device must be cpu or gpu0, gpu1 …, not 1"),
        ({"devices": ["gpu0", "gpu0"]}, "devices must name one or more, each once, not ['gpu0', 'gpu0']"),
        ({"devices": []}, "devices must name one or more, each once, not []"),
        ({"devices": ["gpu0", "gpu1"], "batch_size": 1}, "a batch of 1 can't be divided among 2 devices"),
        ({"batch_accumulation": 0}, "batch_accumulation must be a whole number from 1 to 10000, not 0"),
        ({"epochs": 0}, "epochs must be a number above 0 and at most 100000, not 0"),
        ({"epochs": -1}, "epochs must be a number above 0 and at most 100000, not -1"),
        ({"epochs": "2"}, "epochs must be a number above 0 and at most 100000, not '2'"),
        ({"epochs": math.inf}, "epochs must be a number above 0 and at most 100000, not inf"),
        ({"epochs": True}, "epochs must be a number above 0 and at most 100000, not True"),
        ({"snapshot_interval": -0.5}, "snapshot_interval must be a number from 0, not -0.5"),
        ({"val_interval": math.nan}, "val_interval must be a number from 0, not nan"),
        ({"momentum": 1}, "momentum must be a number from 0 and below 1, not 1"),
        ({"rms_decay": 1}, "rms_decay must be a number from 0 and below 1, not 1"),
        ({"rms_decay": "much"}, "rms_decay must be a number from 0 and below 1, not 'much'"),
        ({"momentum": -0.1}, "momentum must be a number from 0 and below 1, not -0.1"),
        ({"weight_decay": -0.1}, "weight_decay must be a number from 0, not -0.1"),
        ({"batch_size": 0}, "batch_size must be a whole number from 1 to 100000, not 0"),
        ({"batch_size": 2.5}, "batch_size must be a whole number from 1 to 100000, not 2.5"),
        ({"batch_size": None}, "batch_size must be a whole number from 1 to 100000, not None"),
        ({"batch_size": True}, "batch_size must be a whole number from 1 to 100000, not True"),
        ({"threads": 0}, "threads must be a whole number from 1, not 0"),
        ({"random_seed": -1}, "random_seed must be a whole number from 0 to 4294967295, not -1"),
        ({"random_seed": 2**32}, "random_seed must be a whole number from 0 to 4294967295, not 4294967296"),
        ({"random_seed": 1.5}, "random_seed must be a whole number from 0 to 4294967295, not 1.5"),
        ({"random_seed": True}, "random_seed must be a whole number from 0 to 4294967295, not True"),
        ({"learning_rate": 0}, "learning_rate must be a number above 0, not 0"),
        ({"lr_policy": "linear"}, f"lr_policy must be one of {', '.join(POLICIES)}, not 'linear'"),
    ],
)  # fmt: skip
def test_an_invalid_field_of_a_configuration_is_refused_with_the_reason(tmp_path, fields, message):
    with pytest.raises(BadInput) as raised:
        config_of(tmp_path, tmp_path, **fields)
    assert str(raised.value) == message


def test_an_invalid_network_in_a_configuration_is_refused_with_the_name_of_the_layer(tmp_path):
    network = softmax_network().to_dict()
    network["layers"][2]["bottoms"] = ["nowhere"]
    with pytest.raises(BadNetwork, match="layer ip: its input nowhere"):
        config_of(tmp_path, tmp_path, network=network)


def json_with(config, **fields):
    return json.dumps(json.loads(config.to_json()) | fields)


def test_a_text_that_is_no_configuration_is_refused(tmp_path):
    config = config_of(tmp_path, tmp_path)
    without = {name: value for name, value in json.loads(config.to_json()).items() if name != "train_records"}
    messages = {
        "{": "the training's configuration is not JSON: ",
        "[]": "the training's configuration must be a JSON object",
        json_with(config, colour="red"): "the training's configuration has no field colour",
        json_with(config, lr_multistep_values=5): "lr_multistep_values must be a list",
        json.dumps(without): "the training's configuration is incomplete: .*train_records",
    }
    for text, message in messages.items():
        with pytest.raises(BadInput, match=message):
            TrainConfig.from_json(text)


# The JSON that to_json wrote before keep_snapshots and balance_classes were part of a configuration.
EARLIER = """{
    "train_records": "/jobs/d/train.rec", "directory": "/jobs/m", "labels_file": "/jobs/d/labels.txt",
    "image_shape": [1, 8, 8], "val_records": "/jobs/d/val.rec", "mean_file": "/jobs/d/mean.npy", "use_mean": "image",
    "framework": "mxnet", "epochs": 2, "batch_size": 10, "batch_accumulation": 1, "snapshot_interval": 1.0,
    "val_interval": 1.0, "early_stop_patience": 0, "solver_type": "RMSPROP", "learning_rate": 0.1, "momentum": 0.9,
    "weight_decay": 0.0005, "rms_decay": 0.99, "lr_policy": "multistep", "lr_step_size": 33.0, "lr_step_gamma": 0.1,
    "lr_multistep_values": [50.0, 85.0], "lr_multistep_gamma": 0.5, "lr_exp_gamma": 0.95, "lr_inv_gamma": 0.1,
    "lr_inv_power": 0.5, "lr_poly_power": 3.0, "lr_sigmoid_step": 50.0, "lr_sigmoid_gamma": 0.1,
    "category_weights": null, "random_seed": 1, "devices": ["gpu0", "gpu1"], "threads": 1, "initial_weights": null,
    "readable_roots": ["/"], "resume_from": null, "network": null
}"""  # fmt: skip


def test_a_configuration_of_an_earlier_version_still_loads():
    written = json.loads(EARLIER) | {"network": softmax_network().to_dict()}
    loaded = json.loads(TrainConfig.from_json(json.dumps(written)).to_json())
    del written["framework"]
    assert {name: loaded[name] for name in written} == json.loads(json.dumps(written))
    defaults = {declared.name: declared.default for declared in hyperparameters_of(TrainConfig)}
    defaults |= {"engine": "auto", "input_resize": None, "rendezvous": None}
    later = set(loaded) - set(written)
    assert {name: loaded[name] for name in later} == {name: defaults[name] for name in later}
    assert {"engine", "keep_snapshots", "balance_classes", "ema"} <= later


@pytest.mark.parametrize("wanted, threads", [("1", 1), ("", CORES), ("9999", CORES), ("0", CORES), ("4,2", CORES)])
def test_the_environment_of_a_worker_can_set_fewer_threads_than_there_are_cores(monkeypatch, wanted, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    assert trainer_program._threads(ALONE) == threads
