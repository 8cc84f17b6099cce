"""The help texts of the model forms' fields that are not hyperparameters, for pages and schema."""

# For help texts of fields that name a snapshot.
WHICH = "an epoch, latest (or -1) or best. Empty: the latest while the model trains, the best once it is Done."

MODEL = {
    "model_name": (
        "The name of the model. If several are created at once, the values that differ are added to each name."
    ),
    "dataset": "The id of the dataset to train on. The dataset can still be in progress: the model waits for it.",
    "recipe": (
        "What the fields that are left empty are. classic: DIGITS's own values. features: only the last layer of a "
        "pretrained network is trained, in seconds. finetune: the last layer, then all layers at a low rate; the best "
        "for a few hundred to a few thousand photos. scratch: random weights, for large sets. auto: one of these, by "
        "the dataset and the devices. Fields that are sent count; the model shows what was filled in, and why."
    ),
    "dry_run": (
        "Create nothing: the response says what the recipe would fill in, and estimates the time, the disk space and "
        "the memory of the training, with warnings and refusals."
    ),
    "framework": (
        "For scripts written for DIGITS. torch and pytorch choose the engine torch, if a host has it and no engine is "
        "given; the others change nothing."
    ),
    "engine": (
        "The engine that trains: mxnet, torch (PyTorch), or auto for the first one that is installed and supports the "
        "network and the device."
    ),
    "previous_networks": (
        "previous: the id of the model whose network is used. A further field, `<that id>-snapshot`, is the epoch "
        "whose weights the training starts from: 0 or absent for random weights; latest (or -1); best."
    ),
    "pretrained_networks": (
        "pretrained: the weights that the training starts from: the id of a pretrained model, or the name of installed "
        "weights (efficientnet_lite0: ImageNet). Unless use_mean is given, it is network."
    ),
    "custom_network": "custom: the network as Caffe prototxt, with DIGITS's conventions.",
    "custom_network_snapshot": (
        "custom: a path of the server to the weights to start from: a snapshot of this server (its folder, model.onnx "
        "or weights.npz), a .caffemodel, a .safetensors or a .pth with tensors only. Layers with the same name and "
        "shape get these weights, the others start with random weights."
    ),
    "crop_size": "The side of the square that is cut from each image, at random in training; empty: the network's own.",
    "input_size": (
        "The side of the images that the network takes, in pixels. A square of each image of the dataset, of crop_size "
        "pixels or else most of it, is scaled to that size. Empty: with method=pretrained the size for which the "
        "weights were made, else images are not scaled."
    ),
    "search_trials": (
        "How many models a search trains; empty: 20, or with search_minutes any number. A search starts if a "
        "hyperparameter has a range, such as learning_rate=`0.0001..0.1 log` or batch_size=`16..128`. With "
        "search_trials or search_minutes, it also chooses from lists."
    ),
    "search_minutes": (
        "Minutes after which a search creates no further model; those in progress go on to their end. Empty: no limit."
    ),
    "search_pruner": (
        "median: a search stops trainings that are worse than the median of the others at the same epoch; none: it "
        "stops none."
    ),
    "folds": (
        "A k-fold: the images for training and validation are divided into so many parts, and the settings are trained "
        "as often, each time with another part for validation. The result is the mean and the spread of the accuracy."
    ),
    "select_gpu": "`next` for any free GPU, or the number of the GPU to train on.",
    "select_gpus": "The numbers of the GPUs to train on together.",
    "select_gpus_list": "The same, separated by commas: `0,1`.",
    "select_gpu_count": "How many GPUs to train on, any free ones, of one host; with PyTorch of several if no host has "
    "so many. A server without GPUs uses its CPU.",
}

CLASSIFICATION = MODEL | {
    "method": (
        "standard: a network of this server, see standard_networks; previous: the network of another model, see "
        "previous_networks; pretrained: a network with weights that were trained elsewhere, see pretrained_networks; "
        "custom: your own network, see custom_network."
    ),
    "standard_networks": "standard: the network, or timm/NAME for a classifier of the timm library, with PyTorch.",
}

GENERIC = MODEL | {
    "method": (
        "custom: your own network, see custom_network; previous: the network of another model, see previous_networks."
    ),
}

CUSTOMIZE = {
    "network": "The name of a standard network, or the id of a model.",
    "snapshot_epoch": "For a model: the epoch whose weights `snapshot` names; 0: none, latest or -1, or best.",
}

EVALUATION = {
    "snapshot_epoch": f"The snapshot: {WHICH}",
    "split": "The split to evaluate on: validation (`val`) or test (`test`).",
}

STORED_EVALUATION = {
    "snapshot_epoch": (
        "The snapshot: an epoch, latest or -1, or best. Empty: an evaluation of the snapshot that is evaluated if none "
        "is named; if there is none, the latest of any snapshot."
    ),
    "split": "val or test; empty: either.",
}

NETWORK = {
    "custom_network": "The network as Caffe prototxt.",
    "dataset": "The id of the dataset for the network, which gives the shapes of images and labels.",
    "dataset_id": "The same, under another name.",
    "framework": "As in the form for models.",
}

PRETRAINED = {
    "job_name": "The name of the pretrained model; empty: that of the model or archive.",
    "weights_file": (
        "The weights: a .safetensors, a .pth with tensors only, a .caffemodel, or a weights.npz or model.onnx of this "
        "server. The layers are found by the names of torchvision and timm, or by the network's own."
    ),
    "standard_networks": "The standard network that the weights are for.",
    "model_def_file": "Instead of a standard network: the network as Caffe prototxt.",
    "labels_file": "The names of the categories, one on each line.",
    "framework": "As in the form for models.",
    "image_type": "3 or color, 1 or grayscale: the images that the weights were trained on.",
    "width": "The width of these images in pixels; empty: that of the network.",
    "height": "Their height; empty: that of the network.",
    "archive": "An archive that GET /models/<id>/download made, on this server or another.",
    "snapshot_epoch": f"The snapshot: {WHICH}",
}
