"""The hyperparameters of a training, each declared once.

To add one, declare it here, use it (in an engine, or in the loop) and run `manage.py makemigrations`. The forms, the
columns, the options of `train_model`, the comparison of models, the OpenAPI schema and the configurations of trainer
and engine are generated from these declarations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models_app.networks.fine_tuning import ALL, BLOCKS, HEAD, TRAIN_LAYERS, FineTuning
from models_app.training import hyperparameter_declaration as groups
from models_app.training.augmentation.declaration import Augmentation
from models_app.training.hyperparameter_declaration import hyperparameter, hyperparameters_of
from models_app.training.learning_rate import LearningRatePolicy

MAX_EPOCHS = 100_000
MAX_VIEWS = 16  # of an image, whose features are kept
SOLVERS = ("SGD", "NESTEROV", "ADAGRAD", "RMSPROP", "ADADELTA", "ADAM", "ADAMW")
MEAN_OF_DATASET, NETWORK = ("image", "pixel"), "network"  # values of use_mean
MEANS = ("none", *MEAN_OF_DATASET, NETWORK)
AUTO_PRECISION, FP32, BF16 = PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class Hyperparameters(LearningRatePolicy, Augmentation):
    """Checked values of all hyperparameters; those of the learning rate are declared in LearningRatePolicy, those of
    augmentation in Augmentation.

    Names and defaults are DIGITS's, where DIGITS had them. `help` is shown on the form's page, by the command and in
    the schema. Raises BadHyperparameter.
    """

    use_mean: str = hyperparameter(
        "image",
        choices=MEANS,
        group=groups.DATA,
        title="Mean and scale",
        help=(
            "What is subtracted from an image: the mean image of the dataset, its mean pixel, or nothing; network: the "
            "network's own mean and scale, for which its pretrained weights were made. Empty: image, or with "
            "method=pretrained network."
        ),
    )
    epochs: float = hyperparameter(
        30,
        wire_name="train_epochs",
        above=0,
        maximum=MAX_EPOCHS,
        whole=True,
        group=groups.SCHEDULE,
        unit="epochs",
        title="Epochs",
        help="How many times the training goes through the whole dataset.",
    )
    snapshot_interval: float = hyperparameter(
        1,
        minimum=0,
        group=groups.SCHEDULE,
        unit="epochs",
        title="Snapshot every",
        help="Epochs between two snapshots; 0.5 takes two in each epoch, 0 only one at the end.",
    )
    val_interval: float = hyperparameter(
        1,
        minimum=0,
        group=groups.SCHEDULE,
        unit="epochs",
        title="Validate every",
        help="Epochs between two validations; 0: none.",
    )
    early_stop_patience: int = hyperparameter(
        0,
        minimum=0,
        maximum=MAX_EPOCHS,
        group=groups.SCHEDULE,
        unit="validations",
        help=(
            "The training ends after this many validations in a row without a better accuracy (or loss, if "
            "the network has no accuracy); 0: never."
        ),
    )
    # The server deletes snapshots; the trainer writes them all.
    keep_snapshots: int | None = hyperparameter(
        None,
        minimum=0,
        maximum=MAX_EPOCHS,
        group=groups.SCHEDULE,
        unit="snapshots",
        help=(
            "How many of the newest snapshots are kept, besides the best one and those marked to be kept; 0: all; "
            "empty: the newest, the best, and every n-th, so that about ten are kept."
        ),
    )
    # The trainer takes the weights that follow from the dataset, TrainConfig.category_weights.
    balance_classes: bool = hyperparameter(
        False,
        group=groups.DATA,
        help="Whether all categories have the same weight, whatever their numbers of images: the loss of each image is "
        "multiplied by n/(k·m), with n images in all, k categories and m images of its own. Reported losses stay "
        "unweighted.",
    )
    train_layers: str = hyperparameter(
        ALL,
        choices=TRAIN_LAYERS,
        group=groups.NETWORK,
        help=(
            "Which layers the training changes: all, the head (the layer that computes the scores), or the last blocks "
            "and the head. The others keep the weights that they start from."
        ),
    )
    trained_blocks: int = hyperparameter(
        1,
        minimum=1,
        maximum=1000,
        only_with=("train_layers", BLOCKS),
        group=groups.NETWORK,
        unit="blocks",
        help="With train_layers blocks: how many of the network's last blocks are trained, besides the head.",
    )
    backbone_lr_factor: float = hyperparameter(
        1.0,
        above=0,
        maximum=1,
        group=groups.NETWORK,
        title="Rate of the other layers",
        help="The learning rate of all layers but the head, as a fraction of the head's, such as 0.1.",
    )
    freeze_batch_norm: bool = hyperparameter(
        False,
        group=groups.NETWORK,
        help=(
            "Whether BatchNorm keeps the averages that it starts from, instead of those of each batch. Layers that are "
            "not trained always keep theirs."
        ),
    )
    head_epochs: float = hyperparameter(
        0.0,
        minimum=0,
        maximum=MAX_EPOCHS,
        group=groups.SCHEDULE,
        unit="epochs",
        help=(
            "The first so many epochs train the head only; then the layers of train_layers follow, at their own rate. "
            "A new head would otherwise spoil the weights that the others start from."
        ),
    )
    feature_views: int | None = hyperparameter(
        None,
        minimum=0,
        maximum=MAX_VIEWS,
        only_with=("train_layers", HEAD),
        group=groups.NETWORK,
        unit="views",
        help=(
            "With train_layers head: the head is trained on features (what the other layers compute) of this many "
            "fixed views of each image. They are computed once, and every later training with the same layers below "
            "the head reads them. 1: the middle crop; more: random crops and flips besides. 0: all layers compute "
            "every image in every epoch. Empty: 1, or 0 where features can't be kept. Also for the head_epochs."
        ),
    )
    random_seed: int | None = hyperparameter(
        None,
        minimum=0,
        maximum=2**32 - 1,
        group=groups.OPTIMIZER,
        help="The same seed on the same machine gives the same weights; empty: a random seed.",
    )
    batch_size: int = hyperparameter(  # no default: networks have their own
        minimum=1,
        maximum=100_000,
        several=True,
        group=groups.OPTIMIZER,
        unit="images",
        help="Images in a step; empty: the network's own. Several, `32,64`, create one model each.",
    )
    batch_accumulation: int = hyperparameter(
        1,
        minimum=1,
        maximum=10_000,
        group=groups.OPTIMIZER,
        unit="batches",
        help="Number of batches whose average gradient makes one step of the solver.",
    )
    solver_type: str = hyperparameter(
        "SGD", choices=SOLVERS, group=groups.OPTIMIZER, title="Solver", help="How a step changes the weights."
    )
    rms_decay: float = hyperparameter(
        0.99,
        minimum=0,
        below=1,
        only_with=("solver_type", "RMSPROP"),
        group=groups.OPTIMIZER,
        title="Decay of RMSPROP",
        help="RMSPROP: the fraction of the average of squared gradients that a step keeps.",
    )
    momentum: float = hyperparameter(
        0.9,
        minimum=0,
        below=1,
        group=groups.OPTIMIZER,
        help=(
            "SGD, NESTEROV: the fraction of the last step that is repeated. ADAM, ADAMW, ADADELTA: the fraction of "
            "their averages of gradients that a step keeps. The other solvers have none."
        ),
    )
    weight_decay: float = hyperparameter(
        0.0005,
        minimum=0,
        group=groups.OPTIMIZER,
        help=(
            "How strongly weights are pulled towards zero, as a factor of the weight that is added to the gradient "
            "(L2). ADAMW multiplies it by the learning rate only, and needs larger values, such as 0.05."
        ),
    )
    gradient_clip: float = hyperparameter(
        0.0,
        minimum=0,
        group=groups.OPTIMIZER,
        help=(
            "The largest norm (Euclidean length) of the gradient of all weights together, before weight decay. A "
            "longer gradient is scaled down to it. 0: no limit."
        ),
    )
    ema: float = hyperparameter(
        0.0,
        minimum=0,
        below=1,
        group=groups.OPTIMIZER,
        title="Average of the weights (EMA)",
        help=(
            "The exponential moving average of the weights: the fraction that a step keeps, such as 0.999. Validation "
            "and snapshots use the averaged weights, the training goes on from its own. 0: no average."
        ),
    )
    precision: str = hyperparameter(
        AUTO_PRECISION,
        choices=PRECISIONS,
        group=groups.HARDWARE,
        help=(
            "In which numbers the network is computed in training and validation: fp32, or bf16, which current GPUs "
            "compute several times as fast and only PyTorch can. auto: bf16 where the training runs on a GPU that has "
            "it, else fp32. Weights are float32 in any case, and so is the exported model."
        ),
    )
    deterministic: bool = hyperparameter(
        False,
        group=groups.HARDWARE,
        help=(
            "Whether the same seed gives the same weights on a GPU too, with PyTorch; this takes longer. On the CPU it "
            "always does."
        ),
    )
    compile_network: bool = hyperparameter(
        False,
        group=groups.HARDWARE,
        help=(
            "Whether PyTorch compiles the network before it trains, which takes minutes and makes long trainings on a "
            "GPU faster. Without a C compiler the training goes on without."
        ),
    )

    @property
    def fine_tuning(self) -> FineTuning:
        """Which layers are trained after the head_epochs, and how fast."""
        return FineTuning(**{name: getattr(self, name) for name in FineTuning.__dataclass_fields__})

    def values(self) -> dict[str, Any]:
        """Every hyperparameter by its name, without the further fields of a subclass."""
        return {found.name: getattr(self, found.name) for found in hyperparameters_of(type(self))}
