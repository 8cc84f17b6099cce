"""The registry of engines: which engine trains a network, and on which devices."""

from dataclasses import replace
from functools import partial

import pytest

from digits_project.common.errors import BadInput
from models_app.networks import Layer, standard
from models_app.networks.layers import TYPES, data_and_losses
from models_app.training.engines import registry
from models_app.training.engines.mxnet.layer_builders import BUILDERS
from models_app.training.engines.mxnet_declaration import MXNET
from models_app.training.hyperparameter_declaration import BadHyperparameter
from models_app.training.hyperparameters import Hyperparameters
from tests.support.samples.engine_samples import MISSING, SECOND, register_only
from tests.support.samples.network_samples import network

LENET = standard("lenet", (1, 28, 28), 10)
BRAIN_FLOATS = Hyperparameters(batch_size=1, precision="bf16")
COMPILED = Hyperparameters(batch_size=1, compile_network=True)


@pytest.fixture
def register(monkeypatch):
    """A function that replaces the registered engines by others."""
    return partial(register_only, monkeypatch)


def without(*types, engine=MXNET):
    return replace(engine, layer_types=engine.layer_types - set(types))


def test_mxnet_declares_the_layer_types_that_it_has_builders_for():
    sources = {name for name, kind in TYPES.items() if issubclass(kind, data_and_losses.DataSource)}
    assert MXNET.layer_types == set(BUILDERS) | sources


def test_auto_prefers_the_engine_that_was_registered_first(register):
    register(MXNET, SECOND)
    assert registry.engines_of_network(LENET) == ["mxnet", "second"]
    assert registry.engines_of_network(LENET, "second") == ["second"]


def test_auto_skips_an_engine_that_has_no_builder_for_a_layer(register):
    register(without("Pooling"), SECOND)
    assert registry.engines_of_network(LENET) == ["second"]


def test_a_network_that_no_engine_can_train_is_refused_with_the_layer_types(register):
    register(without("Pooling", "LRN"), without("InnerProduct", engine=SECOND))
    with pytest.raises(BadInput) as raised:
        registry.engines_of_network(LENET)
    assert str(raised.value) == (
        "no engine can train this network: MXNet can't train layers of type Pooling; "
        "Second can't train layers of type InnerProduct"
    )


def test_an_engine_requested_by_name_is_refused_with_its_own_reason(register):
    register(MXNET, without("TanH", engine=SECOND))
    tanh = network(Layer("t", "TanH", ("data",), ("t",)))
    reason = r"^Second can't train layers of type TanH; change the network, or choose the engine mxnet$"
    with pytest.raises(BadInput, match=reason):
        registry.engines_of_network(tanh, "second")
    with pytest.raises(BadInput, match="there is no engine 'caffe'; choose one of mxnet, second"):
        registry.engines_of_network(tanh, "caffe")


def test_a_trainer_takes_the_first_engine_that_is_installed(register):
    register(MISSING, SECOND)
    assert registry.choose_installed(LENET) == "second"


def test_a_trainer_without_an_engine_names_the_package_to_install(register):
    register(MISSING)
    with pytest.raises(BadInput, match=r"install Missing \(pip install --no-deps -r requirements/worker.txt\)$"):
        registry.choose_installed(LENET)


@pytest.mark.parametrize(
    "capability, engines",
    [((7, 5), ["second"]), ((8, 6), ["second"]), ((12, 0), ["second"]), ((12, 1), []), ((5, 0), []),
     (None, ["mxnet", "second"])],
)  # fmt: skip
def test_an_engine_supports_the_gpus_that_an_installed_wheel_has_code_for(register, capability, engines):
    register(MXNET, MISSING, SECOND)
    assert [engine.name for engine in registry.declared() if engine.runs_on(capability)] == engines


def test_auto_skips_an_engine_that_lacks_a_setting(register):
    register(MXNET, replace(SECOND, unsupported={}))
    assert registry.engines_of_network(LENET, settings=BRAIN_FLOATS) == ["second"]
    assert registry.choose_installed(LENET, settings=BRAIN_FLOATS) == "second"
    assert registry.engines_of_network(LENET, settings=COMPILED) == ["second"]
    assert registry.engines_of_network(LENET, settings=Hyperparameters(batch_size=1)) == ["mxnet", "second"]


@pytest.mark.parametrize(
    "settings, message",
    [(BRAIN_FLOATS, "MXNet can't train with precision bf16; change it, or choose the engine second"),
     (COMPILED, "MXNet can't train with compile_network 1; change it, or choose the engine second")],
)  # fmt: skip
def test_an_engine_requested_by_name_that_lacks_a_setting_is_refused_with_those_that_have_it(
    register, settings, message
):
    register(MXNET, replace(SECOND, unsupported={}))
    with pytest.raises(BadHyperparameter) as raised:
        registry.engines_of_network(LENET, "mxnet", settings)
    assert str(raised.value) == message


def test_two_engines_cannot_have_one_name(register):
    with pytest.raises(ValueError, match="an engine 'mxnet' is registered already"):
        register(MXNET, replace(SECOND, name="mxnet"))
    with pytest.raises(ValueError, match="an engine 'auto' is registered already"):
        register(replace(SECOND, name="auto"))
