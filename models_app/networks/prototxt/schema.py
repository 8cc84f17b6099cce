"""The names of caffe.proto: messages, fields, enums and hints of each layer type."""

from __future__ import annotations

# The message of each layer type. Fields that are in other messages are listed in `PLACES`.
MESSAGES = {
    "AbsVal": "absval_param",
    "Accuracy": "accuracy_param",
    "BatchNorm": "batch_norm_param",
    "Bias": "bias_param",
    "Clip": "clip_param",
    "Concat": "concat_param",
    "Convolution": "convolution_param",
    "Crop": "crop_param",
    "Data": "transform_param",
    "Deconvolution": "convolution_param",
    "Dropout": "dropout_param",
    "ELU": "elu_param",
    "Eltwise": "eltwise_param",
    "EuclideanLoss": "loss_param",
    "Exp": "exp_param",
    "Flatten": "flatten_param",
    "InnerProduct": "inner_product_param",
    "Input": "input_param",
    "LRN": "lrn_param",
    "Log": "log_param",
    "PReLU": "prelu_param",
    "Pooling": "pooling_param",
    "Power": "power_param",
    "ReLU": "relu_param",
    "Reshape": "reshape_param",
    "Scale": "scale_param",
    "Sigmoid": "sigmoid_param",
    "SigmoidCrossEntropyLoss": "loss_param",
    "Silence": "silence_param",
    "Slice": "slice_param",
    "Softmax": "softmax_param",
    "SoftmaxWithLoss": "loss_param",
    "Split": "split_param",
    "TanH": "tanh_param",
}
LAYER = ""  # the layer itself
PLACES = {
    ("EuclideanLoss", "loss_weight"): LAYER,
    ("SigmoidCrossEntropyLoss", "loss_weight"): LAYER,
    ("SoftmaxWithLoss", "axis"): "softmax_param",
    ("SoftmaxWithLoss", "loss_weight"): LAYER,
}

# Fields of a layer that are not parameters of its type; read separately, or ignored.
LAYER_FIELDS = {
    "backward_math",
    "backward_type",
    "blobs_lr",
    "bottom",
    "cudnn_math_override",
    "debug",
    "exclude",
    "forward_math",
    "forward_type",
    "include",
    "name",
    "param",
    "phase",
    "propagate_down",
    "top",
    "type",
    "weight_decay",
}

# Fields that choose an implementation and do not change the result, NVIDIA's Caffe included.
HINTS = {
    "conv_algos_override",
    "cudnn_convolution_algo_seeker",
    "cudnn_flag",
    "cudnn_math_override",
    "engine",
    "force_nd_im2col",
    "stable_prod_grad",
}
# The same for a whole network: precision and gradient exchange of NVIDIA's Caffe.
NETWORK_HINTS = {
    "default_backward_math",
    "default_backward_type",
    "default_conv_algos_override",
    "default_cudnn_math_override",
    "default_forward_math",
    "default_forward_type",
    "global_grad_scale",
    "global_grad_scale_adaptive",
    "quantize",
    "reduce_buckets",
}

# Settings that we do not support, with the value at which they have no effect.
NEUTRAL = {
    ("Accuracy", "axis"): 1,
    ("Convolution", "axis"): 1,
    ("Deconvolution", "axis"): 1,
    ("Dropout", "scale_train"): "true",
}

# Former names of fields.
ALIASES = {("Concat", "concat_dim"): "axis", ("Slice", "slice_dim"): "axis"}

# Boolean fields that losses had before `normalization`, and Pooling before `round_mode`.
NORMALIZE = {True: "VALID", False: "BATCH_SIZE"}
CEIL_MODE = {True: "CEIL", False: "FLOOR"}
# Boolean fields that stand for a value of another field: (that field, its value by the boolean).
FLAGS = {"normalize": ("normalization", NORMALIZE), "ceil_mode": ("round_mode", CEIL_MODE)}

# Sizes given as height and width, and the default of a missing half.
HALVES = {
    "kernel_size": ("kernel_h", "kernel_w", None),
    "pad": ("pad_h", "pad_w", 0),
    "stride": ("stride_h", "stride_w", 1),
}
HALF_OF = {half: whole for whole, (*halves, _) in HALVES.items() for half in halves}

# Enum values by their number in caffe.proto.
ENUMS = {
    "norm_region": ("ACROSS_CHANNELS", "WITHIN_CHANNEL"),
    "normalization": ("FULL", "VALID", "BATCH_SIZE", "NONE"),
    "pad_mode": ("EXPLICIT", "SAME"),  # ours
    "operation": ("PROD", "SUM", "MAX"),
    "phase": ("TRAIN", "TEST"),
    "pool": ("MAX", "AVE", "STOCHASTIC"),
    "round_mode": ("CEIL", "FLOOR"),
    "variance_norm": ("FAN_IN", "FAN_OUT", "AVERAGE"),
}

# Layer types that read data. Here all of them read the dataset.
DATA_TYPES = ("Data", "HDF5Data", "ImageData", "MemoryData")
DATA_MESSAGES = ("data_param", "hdf5_data_param", "image_data_param", "memory_data_param")

# The types of the old `layers` field, upgraded as Caffe does.
V1_TYPES = {
    "ABSVAL": "AbsVal",
    "ACCURACY": "Accuracy",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss",
    "CONVOLUTION": "Convolution",
    "DATA": "Data",
    "DECONVOLUTION": "Deconvolution",
    "DROPOUT": "Dropout",
    "DUMMY_DATA": "DummyData",
    "ELTWISE": "Eltwise",
    "EUCLIDEAN_LOSS": "EuclideanLoss",
    "EXP": "Exp",
    "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss",
    "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN",
    "POOLING": "Pooling",
    "POWER": "Power",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence",
    "SLICE": "Slice",
    "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split",
    "TANH": "TanH",
    "THRESHOLD": "Threshold",
    "WINDOW_DATA": "WindowData",
}
