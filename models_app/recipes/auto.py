"""`auto`: chooses a recipe by the dataset, the devices and what is installed, and says why."""

from __future__ import annotations

from models_app.recipes.recipe import CUSTOM, PRETRAINED, PREVIOUS, RECIPES, Recipe, Situation

AUTO = "auto"
MIN_SIDE = 24  # pixels: enlarging smaller images shows a pretrained network too little
MAX_FINETUNED_ON_CPU, MAX_FINETUNED_ON_GPU = 2_000, 100_000  # images
MAX_FEATURES_ON_CPU = 50_000


def choose(situation: Situation) -> tuple[Recipe, str]:
    """The recipe for a situation, and the reason in one sentence."""
    name, reason = _chosen(situation)
    recipe = RECIPES[name]
    if wrong := recipe.contradictions(situation):
        other = _that_follows(situation)
        return other, f"{other.name} is the recipe that fits {' and '.join(sorted(wrong))} as it was sent."
    return recipe, reason


def _that_follows(situation: Situation) -> Recipe:
    """The first recipe that can follow what the user sent; classic can follow everything."""
    order = [RECIPES[name] for name in ("features", "finetune", "scratch", "classic") if name in RECIPES]
    return next(recipe for recipe in order if not recipe.contradictions(situation))


def _chosen(situation: Situation) -> tuple[str, str]:
    if not situation.is_classifier:
        return "classic", "classic, because the other recipes train classifiers only."
    if situation.method == CUSTOM or (situation.method and not situation.starts_from_weights):
        return "classic", "classic, because the network was chosen, and it starts with random weights."
    if not situation.starts_from_weights and (why := _no_weights(situation)):
        return "scratch", why
    return _by_size(situation)


def _no_weights(situation: Situation) -> str:
    """Why installed weights are of no use; "" if they are."""
    if not situation.weights:
        return "scratch, because no pretrained weights are installed where trainings run."
    if not situation.usable_weights:
        return "scratch, because the images are gray and the installed weights are for color images."
    if situation.side is not None and situation.side < MIN_SIDE:
        return (
            f"scratch, because the images have only {situation.side} pixels a side, and the installed weights are for "
            "larger ones."
        )
    return ""


def _by_size(situation: Situation) -> tuple[str, str]:
    device, most = ("a GPU", MAX_FINETUNED_ON_GPU) if situation.has_gpu else ("the CPU", MAX_FINETUNED_ON_CPU)
    images = situation.images
    if images is None:
        return "features", (
            "features, because the dataset is not Done, so its size is not known, and features suits every size."
        )
    if images <= most:
        return "finetune", f"finetune, because {images:,} images are few enough to train all layers on {device}."
    if situation.has_gpu or images > MAX_FEATURES_ON_CPU:
        if situation.method in (PRETRAINED, PREVIOUS):
            return "features", f"features, because {images:,} images are too many to train all layers on {device}."
        return "scratch", f"scratch, because {images:,} images are enough to train without pretrained weights."
    return "features", f"features, because {images:,} images are too many to train all layers on {device}."
