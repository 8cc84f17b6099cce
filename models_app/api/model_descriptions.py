"""What each field of the model forms means: shown on their pages and in the schema."""

POLICY = {
    "learning_rate": "The base rate, from which lr_policy goes out. Several, `0.1,0.01`, make a model each.",
    "lr_policy": "How the rate changes while the training proceeds.",
    "lr_step_size": "step: percent of the training between two steps.",
    "lr_step_gamma": "step: the factor of each step.",
    "lr_multistep_values": "multistep: the percents of the training at which the rate changes, with commas between.",
    "lr_multistep_gamma": "multistep: the factor of each change.",
    "lr_exp_gamma": "exp: the factor of each percent of the training.",
    "lr_inv_gamma": "inv: rate · (1 + gamma · percent) ^ -power.",
    "lr_inv_power": "inv: the power.",
    "lr_poly_power": "poly: rate · (1 - percent / 100) ^ power.",
    "lr_sigmoid_step": "sigmoid: the percent of the training at which the rate has halved.",
    "lr_sigmoid_gamma": "sigmoid: how steeply it falls there.",
}

MODEL = POLICY | {
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
    "use_mean": "What is subtracted from an image: the mean image of the dataset, its mean pixel, or nothing.",
    "train_epochs": "How often the whole dataset is gone through.",
    "snapshot_interval": "Epochs between two snapshots; 0.5 takes two in each, 0 only that at the end.",
    "val_interval": "Epochs between two validations; 0: none.",
    "early_stop_patience": (
        "After so many validations without a better accuracy (or loss, where there is no accuracy) the training ends; "
        "0: never."
    ),
    "keep_snapshots": "How many of the newest snapshots stay, besides the best and those marked to be kept; 0: all.",
    "balance_classes": (
        "Whether categories count alike in training, however many images they have: the loss of each image is "
        "multiplied by n/(k·m), with n images in all, k categories and m images of its own. The losses that are told "
        "stay unweighted."
    ),
    "random_seed": "The same seed on the same machine gives the same weights; empty: a random one.",
    "batch_size": "Images in a step; empty: the network's own. Several, `32,64`, make a model each.",
    "batch_accumulation": "Batches whose gradients make one step of the solver.",
    "solver_type": "How the weights follow the gradient.",
    "rms_decay": "RMSPROP: how much of the average of squared gradients is kept in a step.",
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
