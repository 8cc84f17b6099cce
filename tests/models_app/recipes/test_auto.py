"""recipe=auto: which recipe it chooses, and why."""

import pytest

from models_app.recipes import RECIPES, Situation, choose

WEIGHTS = ("efficientnet_lite0",)
PHOTOS = (3, 256, 256)


@pytest.mark.parametrize(
    "situation, name, reason",
    [
        (Situation(image_shape=PHOTOS, images=600, weights=WEIGHTS), "finetune", "600 images are few enough"),
        (Situation(image_shape=PHOTOS, images=9_000, weights=WEIGHTS), "features", "too many to train all layers on"),
        (Situation(image_shape=PHOTOS, images=9_000, weights=WEIGHTS, has_gpu=True), "finetune", "on a GPU"),
        (Situation(image_shape=PHOTOS, images=900_000, weights=WEIGHTS, has_gpu=True), "scratch", "are enough to"),
        (Situation(image_shape=PHOTOS, weights=WEIGHTS), "features", "the dataset is not Done"),
        (Situation(image_shape=PHOTOS, images=600), "scratch", "no pretrained weights are installed"),
        (Situation(image_shape=(1, 256, 256), images=600, weights=WEIGHTS), "scratch", "the images are gray"),
        (Situation(image_shape=(3, 16, 16), images=600, weights=WEIGHTS), "scratch", "only 16 pixels"),
        (Situation(image_shape=(3, 32, 32), images=4_000, weights=WEIGHTS), "features", "too many to train all"),
        (Situation({"standard_networks": "lenet"}, weights=WEIGHTS), "classic", "the network was chosen"),
        (Situation({"method": "custom"}, weights=WEIGHTS), "classic", "the network was chosen"),
        (Situation(is_classifier=False), "classic", "train classifiers only"),
        (Situation({"train_layers": "head"}, image_shape=PHOTOS, images=600, weights=WEIGHTS), "features",
         "fits train_layers"),
        (Situation({"train_layers": "all"}, image_shape=PHOTOS, images=9_000, weights=WEIGHTS), "finetune",
         "fits train_layers"),
    ],
)  # fmt: skip
def test_auto_chooses_by_the_dataset_the_devices_and_what_was_sent(situation, name, reason):
    recipe, why = choose(situation)
    assert recipe.name == name
    assert reason in why
    assert why.endswith(".")


def test_scratch_turns_and_scales_gray_images_a_little_and_never_mirrors_them():
    gray = RECIPES["scratch"].fill(Situation(image_shape=(1, 28, 28), images=1_300))
    assert (gray["aug_rot"], gray["aug_scale"]) == (10, 0.1)
    assert not gray.keys() & {"aug_policy", "aug_flip"}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_recipe_fills_in_nothing_that_was_sent(recipe):
    sent = dict.fromkeys(recipe.values, "sent")
    assert not recipe.fill(Situation(sent, weights=WEIGHTS)).keys() & sent.keys()
