"""Small networks, as layers and as prototxt."""

from models_app.networks import Layer, Network

DATA = Layer("data", "Data", (), ("data", "label"))

# Networks as DIGITS's own scripts send them: no Data layer, no num_output of the last layer, stages.
CLASSIFIER = """
layer {
    name: "hidden"
    type: 'InnerProduct'
    bottom: "data"
    top: "output"
}
layer {
    name: "loss"
    type: "SoftmaxWithLoss"
    bottom: "output"
    bottom: "label"
    top: "loss"
    exclude { stage: "deploy" }
}
layer {
    name: "accuracy"
    type: "Accuracy"
    bottom: "output"
    bottom: "label"
    top: "accuracy"
    include { stage: "val" }
}
layer {
    name: "softmax"
    type: "Softmax"
    bottom: "output"
    top: "softmax"
    include { stage: "deploy" }
}
"""

REGRESSION = """
layer { name: "scale" type: "Power" bottom: "data" top: "scale" power_param { scale: 0.004 } }
layer { name: "hidden" type: "InnerProduct" bottom: "scale" top: "output" inner_product_param { num_output: 2 } }
layer {
    name: "loss" type: "EuclideanLoss" bottom: "output" bottom: "label" top: "loss"
    exclude { stage: "deploy" }
}
"""

RATES = "param { lr_mult: 1 } param { lr_mult: 2 }"
FILLERS = 'weight_filler { type: "xavier" } bias_filler { type: "constant" }'


def lenet_body(bottom: str, categories: str) -> str:
    """The layers of LeNet between its data and its scores."""
    return f"""
layer {{ name: "conv1" type: "Convolution" bottom: "{bottom}" top: "conv1" {RATES}
  convolution_param {{ num_output: 20 kernel_size: 5 stride: 1 {FILLERS} }}
}}
layer {{ name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param {{ pool: MAX kernel_size: 2 stride: 2 }}
}}
layer {{ name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2" {RATES}
  convolution_param {{ num_output: 50 kernel_size: 5 stride: 1 {FILLERS} }}
}}
layer {{ name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2"
  pooling_param {{ pool: MAX kernel_size: 2 stride: 2 }}
}}
layer {{ name: "ip1" type: "InnerProduct" bottom: "pool2" top: "ip1" {RATES}
  inner_product_param {{ num_output: 500 {FILLERS} }}
}}
layer {{ name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }}
layer {{ name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" {RATES}
  inner_product_param {{ {categories} {FILLERS} }}
}}"""


# LeNet as DIGITS ships it: one text with stages. The last layer has no num_output: the dataset has the categories.
LENET = f"""
name: "LeNet"
layer {{ name: "train-data" type: "Data" top: "scaled" top: "label"
  transform_param {{ scale: 0.0125 }}  # 1 / (standard deviation)
  data_param {{ batch_size: 64 }}
  include {{ stage: "train" }}
}}
layer {{ name: "val-data" type: "Data" top: "scaled" top: "label"
  transform_param {{ scale: 0.0125 }}
  data_param {{ batch_size: 100 }}
  include {{ stage: "val" }}
}}
layer {{ name: "scale" type: "Power" bottom: "data" top: "scaled"
  power_param {{ scale: 0.0125 }}
  include {{ stage: "deploy" }}
}}
{lenet_body("scaled", "")}
layer {{ name: "accuracy" type: "Accuracy" bottom: "ip2" bottom: "label" top: "accuracy" include {{ stage: "val" }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" exclude {{ stage: "deploy" }} }}
layer {{ name: "softmax" type: "Softmax" bottom: "ip2" top: "softmax" include {{ stage: "deploy" }} }}
"""

# LeNet as Caffe's examples have it: phases only, named sources, and no layers for deployment.
LENET_OF_CAFFE = f"""
name: "LeNet"
layer {{ name: "mnist" type: "Data" top: "data" top: "label"
  include {{ phase: TRAIN }}
  transform_param {{ scale: 0.0125 }}
  data_param {{ source: "examples/mnist/mnist_train_lmdb" batch_size: 64 backend: LMDB }}
}}
layer {{ name: "mnist" type: "Data" top: "data" top: "label"
  include {{ phase: TEST }}
  transform_param {{ scale: 0.0125 }}
  data_param {{ source: "examples/mnist/mnist_test_lmdb" batch_size: 100 backend: LMDB }}
}}
{lenet_body("data", "num_output: 10")}
layer {{ name: "accuracy" type: "Accuracy" bottom: "ip2" bottom: "label" top: "accuracy" include {{ phase: TEST }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }}
"""

# The smallest classifier that DIGITS accepts, and the network of DIGITS's own tests.
SCORES = 'layer { name: "hidden" type: "InnerProduct" bottom: "data" top: "output" inner_product_param { } }'
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "output" bottom: "label" top: "loss" }'


def network(*layers: Layer, input_shape=(3, 8, 8)) -> Network:
    """A network of a Data layer and these layers."""
    return Network("sample", input_shape, (DATA, *layers))


def chain(*types: tuple[str, dict], input_shape=(3, 8, 8)) -> Network:
    """A network of layers in a row, given as (type, parameters). Each is named after its type and place."""
    layers, bottom = [], "data"
    for number, (kind, parameters) in enumerate(types, start=1):
        name = f"{kind.lower()}{number}"
        layers.append(Layer(name, kind, (bottom,), (name,), parameters))
        bottom = name
    return network(*layers, input_shape=input_shape)


def layer_text(name: str, kind: str, bottoms: str, tops: str, more: str = "") -> str:
    """One layer as prototxt. `bottoms` and `tops` are names separated by spaces."""
    ends = " ".join([f'bottom: "{name}"' for name in bottoms.split()] + [f'top: "{name}"' for name in tops.split()])
    return f'layer {{ name: "{name}" type: "{kind}" {ends} {more} }}\n'


def inner_product(name: str, bottom: str, outputs: int | str = "", more: str = "") -> str:
    """An InnerProduct as prototxt, without num_output if `outputs` is empty."""
    count = f"num_output: {outputs}" if outputs else ""
    return layer_text(name, "InnerProduct", bottom, name, f"inner_product_param {{ {count} }} {more}")
