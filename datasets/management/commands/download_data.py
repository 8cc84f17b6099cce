"""`manage.py download_data NAME FOLDER`"""

import shutil
from pathlib import Path

from PIL import Image

from datasets.download.downloading import download
from datasets.download.published_sets import PUBLISHED, Published
from digits_project.jobs.console.command import ConsoleCommand, wrong

SPLITS = ("train", "test")
REPORT_EVERY = 500  # images


class Command(ConsoleCommand):
    help = (
        "Download a published set of images and write it as folders for create_dataset: train and test, each with "
        "one subfolder of PNG files for each category. An interrupted download is continued; downloaded files are "
        "checked."
    )
    example = "mnist ~/data/mnist\ncifar10 ~/data/cifar10 --mirror https://mirror.example/cifar/"

    needs_database = False

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument("name", choices=list(PUBLISHED), help="the set to download")
        parser.add_argument("folder", help="the folder to write; created if it does not exist")
        parser.add_argument("--mirror", metavar="URL", help="another address of the folder with the published files")
        parser.add_argument("--keep-files", action="store_true", help="keep the downloaded files, in FOLDER/.download")

    def handle(self, *, name, folder, **options):
        published, target = PUBLISHED[name], Path(folder).absolute()
        counts = {split: _count(target / split) for split in SPLITS if (target / split).exists()}
        if len(counts) < len(SPLITS):
            try:
                fetched = target / ".download" / name
                fetched.mkdir(parents=True, exist_ok=True)
                self._fetch(published, options["mirror"] or published.base, fetched)
                missing = [split for split in SPLITS if split not in counts]
                counts |= {split: self._write(published, fetched, target / split) for split in missing}
                if not options["keep_files"]:
                    shutil.rmtree(target / ".download")
            except OSError as unwritable:
                raise wrong(f"{target} can't be written: {unwritable}") from unwritable
        if self.as_json:
            self.print_json({"name": name, "folder": str(target), "images": counts})
        else:
            self.stdout.write("\n".join(f"{target / split}: {count:,} images" for split, count in counts.items()))

    def _fetch(self, published: Published, base: str, folder: Path) -> None:
        for name, md5 in published.files.items():
            self.screen.line(f"Downloading {name}")
            download(f"{base.rstrip('/')}/{name}", md5, folder / name, self.screen.download(name))

    def _write(self, published: Published, fetched: Path, folder: Path) -> int:
        """Write the images of a split. The folder appears only when all of them are written."""
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        self.screen.line(f"Writing {folder}")
        count = 0
        for category, pixels in published.read(fetched, folder.name):
            (part / category).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(part / category / f"{count:05}.png", compress_level=1)
            count += 1
            if count % REPORT_EVERY == 0:
                self.screen.passing(f"{count:,} images")
        part.rename(folder)
        return count


def _count(folder: Path) -> int:
    return sum(1 for _ in folder.glob("*/*.png"))
