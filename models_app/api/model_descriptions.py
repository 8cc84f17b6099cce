"""The help texts of the model forms' fields that are not hyperparameters, for pages and schema."""

MODEL = {
    "model_name": "What the model is called. Of several that are made at once each adds what is its own.",
    "dataset": "The id of the dataset to train on. It need not be done yet: the model waits for it.",
    "framework": "Taken for the sake of scripts written for DIGITS: it changes nothing; see engine.",
    "engine": "The engine that trains: auto takes the first that supports the network and the device.",
    "previous_networks": (
        "previous: the id of the model whose network is taken. A further field, `<that id>-snapshot`, names the epoch "
        "whose weights are taken too: 0 or none fresh weights, -1 the newest."
    ),
    "custom_network": "custom: the network as Caffe prototxt, in DIGITS's conventions.",
    "custom_network_snapshot": (
        "custom: a path of the server to the weights to start from: a snapshot of this server, its folder or its "
        "weights.npz, or a .caffemodel. Layers of the same name and shape take them, the others start afresh."
    ),
    "crop_size": "The side of the square that is taken from an image, at random in training; empty: the network's own.",
    "select_gpu": "`next`, whichever is free, or the number of the GPU to train on.",
    "select_gpus": "The numbers of the GPUs to train on together.",
    "select_gpus_list": "The same with commas between them, `0,1`.",
    "select_gpu_count": "How many GPUs to train on, whichever are free. A server without one takes its CPU.",
}

CLASSIFICATION = MODEL | {
    "method": (
        "standard: a network of this server, standard_networks; previous: that of another model, previous_networks; "
        "custom: one's own, custom_network."
    ),
    "standard_networks": "standard: the network.",
}

GENERIC = MODEL | {
    "method": "custom: a network of one's own, custom_network; previous: that of another model, previous_networks.",
}

CUSTOMIZE = {
    "network": "The name of a standard network, or the id of a model.",
    "snapshot_epoch": "Of a model: the epoch whose weights `snapshot` names; 0: none, -1: the newest.",
}

EVALUATION = {
    "snapshot_epoch": "The epoch of the snapshot; empty: the best one, -1: the newest.",
    "split": "The images: those for validation (`val`), or those for testing (`test`).",
}

STORED_EVALUATION = {
    "snapshot_epoch": "The epoch of the snapshot, -1: the newest; empty: the latest evaluation, whichever it is of.",
    "split": "val or test; empty: whichever.",
}

NETWORK = {
    "custom_network": "The network as Caffe prototxt.",
    "dataset": "The id of the dataset that it is meant for, which gives the shapes of images and labels.",
    "dataset_id": "The same under its other name.",
    "framework": "As in the model form.",
}
