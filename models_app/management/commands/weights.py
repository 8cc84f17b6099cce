"""`manage.py weights list|add|remove|fetch`"""

from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from django.core.files.uploadedfile import SimpleUploadedFile, UploadedFile

from datasets.download.downloading import Redirects, download, reported_sha256
from digits_project.common.digests import sha256
from digits_project.common.errors import BadInput, Failed
from digits_project.jobs import services
from digits_project.jobs.console.command import ConsoleCommand, Invalid, job_of, wrong
from digits_project.jobs.console.work_command import add_owner
from models_app.api.pretrained_forms import PretrainedForm
from models_app.api.pretrained_views import installed_json, pretrained_json
from models_app.networks.pretrained.packaged import PACKAGED
from models_app.networks.pretrained.published_files import PUBLISHED_FILES, PublishedFile, find_published
from models_app.pretrained import importing
from models_app.pretrained.pretrained_model import PretrainedModel

OF_IMAGES = ("image_type", "width", "height")  # fields of the form, and options of `add`


class Command(ConsoleCommand):
    help = (
        "Weights that trainings start from (train_model --method pretrained). list: those that are installed, and "
        "pretrained models. add: makes a pretrained model from a file. remove: deletes one. fetch: downloads "
        "ImageNet weights that torchvision or timm publish and adds them."
    )
    example = (
        "list\n"
        "add resnet weights/resnet18.pth --network resnet18_torch\n"
        "add own own.safetensors --prototxt own.prototxt --labels labels.txt\n"
        "add digits lenet.npz --network lenet --image-type grayscale\n"
        "remove 20261125-120000-0c1a\n"
        "fetch resnet18_torch\n"
        "fetch timm/resnet50.a1_in1k\n"
        "fetch timm/convnext_atto.d2_in1k"
    )

    def add_arguments(self, parser):
        super().add_arguments(parser)
        add_owner(parser)
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        actions.add_parser("list", help="list installed weights and pretrained models")
        add = actions.add_parser("add", help="make a pretrained model from a file of weights")
        add.add_argument("name", help="the name of the pretrained model")
        add.add_argument("file", type=Path, help="a .safetensors, .pth, .caffemodel, .npz or .onnx")
        add.add_argument("--network", default="", help="the standard network, or timm/NAME for one of timm")
        add.add_argument("--prototxt", type=Path, help="instead: the network as Caffe prototxt")
        add.add_argument("--labels", type=Path, help="a file with the names of the categories, one on each line")
        add.add_argument(
            "--image-type", choices=["color", "grayscale"], help="the images that the network takes [color]"
        )
        add.add_argument("--width", help="their width; empty: the standard network's own, else 256")
        add.add_argument("--height", help="their height")
        remove = actions.add_parser("remove", help="delete a pretrained model")
        remove.add_argument("job_id", help="its id, as list shows it")
        fetch = actions.add_parser("fetch", help="download published weights and add them")
        names = ", ".join(PUBLISHED_FILES)
        fetch.add_argument(
            "weights",
            metavar="WEIGHTS",
            help=f"torchvision's by the name of the standard network, timm's by theirs: {names}; or timm/NAME.TAG for "
            "any other network of timm",
        )
        fetch.add_argument("--mirror", metavar="URL", help="another address, below which the files have the same paths")
        fetch.add_argument("--sha256", help="the file's SHA-256, if you know it from elsewhere than its publisher")

    def handle(self, *, action, **options):
        {"list": self._list, "add": self._add, "remove": self._remove, "fetch": self._fetch}[action](options)

    def _list(self, options) -> None:
        rows = [pretrained_json(row) for row in PretrainedModel.objects.order_by("-created_at")]
        installed = [installed_json(name) for name in PACKAGED]
        if self.as_json:
            self.print_json({"pretrained_models": rows, "installed": installed})
            return
        listed = [(one["name"], one["network"], one["categories"], "installed" if one["installed"] else "not installed")
                  for one in installed]  # fmt: skip
        listed += [(row["id"], row["network"], str(row["categories"]), row["name"]) for row in rows]
        self.print_table(listed, ("weights", "network", "categories", "name"))

    def _add(self, options) -> None:
        path, text, labels = options["file"], options["prototxt"], options["labels"]
        try:
            with path.open("rb") as content:
                data = {"weights_file": UploadedFile(content, path.name, size=path.stat().st_size)}
                data |= {"model_def_file": SimpleUploadedFile(text.name, text.read_bytes())} if text else {}
                data |= {"labels_file": SimpleUploadedFile(labels.name, labels.read_bytes())} if labels else {}
                data |= {name: options[name] for name in OF_IMAGES if options.get(name)}
                row = self._made(data | {"job_name": options["name"], "standard_networks": options["network"]}, options)
        except OSError as error:
            raise wrong(f"{error.filename} can't be read: {error.strerror}.") from error
        self._report(row)

    def _made(self, data, options) -> PretrainedModel:
        form = PretrainedForm(data=data)
        if not form.is_valid():
            names = {"weights_file": "file", "standard_networks": "--network", "model_def_file": "--prototxt"}
            names |= {name: f"--{name.replace('_', '-')}" for name in OF_IMAGES}
            raise Invalid(form.errors, names | {"labels_file": "--labels", "job_name": "name"})
        return importing.from_file(options["owner"], **form.validated_data)

    def _remove(self, options) -> None:
        row = job_of(options["job_id"], PretrainedModel)
        services.delete(row)
        self.screen.line(f"{row.name} is deleted")

    def _fetch(self, options) -> None:
        name, published = options["weights"], _published(options["weights"])
        with TemporaryDirectory(prefix="weights") as folder:
            path = Path(folder, published.file)
            try:
                self._download(published, path, options)
            except Failed as failed:
                by_hand = f"manage.py weights add NAME {published.file} --network {published.network}"
                instead = f"Or fetch {published.url()} on a host with internet, and add the file here: {by_hand}"
                raise Failed(f"{failed} {instead}") from failed
            given = name.partition("/")[2] or path.stem
            path = path.rename(path.with_name(given + path.suffix))
            added = {"name": given, "file": path, "network": published.network, "prototxt": None, "labels": None}
            self._add(options | added)

    def _download(self, published: PublishedFile, path: Path, options) -> None:
        url = published.url(options["mirror"])
        redirects = Redirects(url, published.domains)
        expected = (options["sha256"] or published.sha256).lower()
        if not expected:
            expected = reported_sha256(url, redirects)
            self.screen.line(f"SHA-256 {expected}, as {urlsplit(url).hostname} reports it")
        download(url, expected, path, self.screen.download(path.name), sha256, redirects)

    def _report(self, row: PretrainedModel) -> None:
        for warning in row.warnings:
            self.screen.line(warning)
        if self.as_json:
            self.print_json(pretrained_json(row))
        else:
            self.stdout.write(row.pk)


def _published(name: str) -> PublishedFile:
    try:
        return find_published(name)
    except BadInput as unknown:
        raise wrong(str(unknown)) from unknown
