"""Small networks for the tests of networks and engines."""

from models_app.networks import Layer, Network

DATA = Layer("data", "Data", (), ("data", "label"))


def network(*layers: Layer, input_shape=(3, 8, 8)) -> Network:
    """These layers behind a Data layer."""
    return Network("sample", input_shape, (DATA, *layers))


def chain(*types: tuple[str, dict], input_shape=(3, 8, 8)) -> Network:
    """Layers one after the other, each given as (type, parameters) and named after its type and place."""
    layers, bottom = [], "data"
    for number, (kind, parameters) in enumerate(types, start=1):
        name = f"{kind.lower()}{number}"
        layers.append(Layer(name, kind, (bottom,), (name,), parameters))
        bottom = name
    return network(*layers, input_shape=input_shape)
