"""The folds of the accuracy benchmark divide a set of images without overlap."""

from collections import Counter

from benchmarks.accuracy.image_sets import FOLDS, IMAGE_SETS, own_folder


def names(folder):
    return Counter(f"{path.parent.name}/{path.name}" for path in folder.rglob("*.png"))


def test_every_image_is_validated_in_one_fold_and_trained_on_in_the_others(tmp_path):
    folds = list(IMAGE_SETS["digits"].folds(tmp_path, tmp_path, FOLDS))
    validated = sum((names(fold.val) for fold in folds), Counter())
    assert len(validated) == 1797
    assert set(validated.values()) == {1}
    assert all(names(fold.train) + names(fold.val) == validated for fold in folds)


def test_every_fold_has_all_categories_in_both_parts(tmp_path):
    [fold] = IMAGE_SETS["digits"].folds(tmp_path, tmp_path, 1)
    assert [len(list(folder.iterdir())) for folder in (fold.train, fold.val)] == [10, 10]


def test_a_folder_of_ones_own_is_divided_by_its_subfolders_without_other_files(tmp_path):
    for name in ("cats/1.png", "cats/2.png", "cats/3.png", "cats/4.png", "dogs/1.png"):
        (tmp_path / "pets" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pets" / name).touch()
    (tmp_path / "pets" / "notes.txt").touch()
    images = own_folder(tmp_path / "pets")
    [fold] = images.folds(tmp_path, tmp_path / "folds", 1)
    assert images.name == "pets"
    assert sum(names(fold.train).values()) == 3
    assert sum(names(fold.val).values()) == 2
