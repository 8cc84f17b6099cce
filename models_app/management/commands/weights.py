"""`manage.py weights list|add|remove|fetch`"""

from pathlib import Path
from tempfile import TemporaryDirectory

from django.core.files.uploadedfile import SimpleUploadedFile, UploadedFile

from datasets.download.downloading import download
from digits_project.common.digests import sha256
from digits_project.common.errors import Failed
from digits_project.jobs import services
from digits_project.jobs.console.command import ConsoleCommand, Invalid, job_of, wrong
from digits_project.jobs.console.work_command import add_owner
from models_app import networks
from models_app.api.pretrained_forms import PretrainedForm
from models_app.api.pretrained_views import installed_json, pretrained_json
from models_app.networks.pretrained.packaged import PACKAGED
from models_app.networks.pretrained.published_files import PUBLISHED_FILES, PublishedFile
from models_app.pretrained import importing
from models_app.pretrained.pretrained_model import PretrainedModel

OF_IMAGES = ("image_type", "width", "height")  # fields of the form, and options of `add`


class Command(ConsoleCommand):
    help = (
        "Weights that trainings start from (train_model --method pretrained). list: those that are installed, and "
        "pretrained models. add: makes a pretrained model from a file. remove: deletes one. fetch: downloads "
        "torchvision's ImageNet weights of a standard network and adds them."
    )
    example = (
        "list\n"
        "add resnet weights/resnet18.pth --network resnet18_torch\n"
        "add own own.safetensors --prototxt own.prototxt --labels labels.txt\n"
        "add digits lenet.npz --network lenet --image-type grayscale\n"
        "remove 20261125-120000-0c1a\n"
        "fetch resnet18_torch"
    )

    def add_arguments(self, parser):
        super().add_arguments(parser)
        add_owner(parser)
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        actions.add_parser("list", help="list installed weights and pretrained models")
        add = actions.add_parser("add", help="make a pretrained model from a file of weights")
        add.add_argument("name", help="the name of the pretrained model")
        add.add_argument("file", type=Path, help="a .safetensors, .pth, .caffemodel, .npz or .onnx")
        add.add_argument("--network", choices=list(networks.STANDARD), default="", help="the standard network")
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
        fetch.add_argument("network", choices=list(PUBLISHED_FILES), help="the standard network")
        fetch.add_argument("--mirror", metavar="URL", help="another address of the folder with the published files")

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
        published = PUBLISHED_FILES[options["network"]]
        url = f"{options['mirror'].rstrip('/')}/{published.file}" if options["mirror"] else published.url
        with TemporaryDirectory(prefix="weights") as folder:
            path = Path(folder, published.file)
            self._download(url, published, path)
            options |= {"name": published.file.removesuffix(".pth"), "file": path, "prototxt": None, "labels": None}
            self._add(options)

    def _download(self, url: str, published: PublishedFile, path: Path) -> None:
        try:
            download(url, published.sha256_start, path, self.screen.download(path.name), sha256)
        except Failed as failed:
            by_hand = f"manage.py weights add NAME {published.file} --network {published.network}"
            raise Failed(f"{failed} Or fetch the file on a host with internet, and add it here: {by_hand}") from failed

    def _report(self, row: PretrainedModel) -> None:
        for warning in row.warnings:
            self.screen.line(warning)
        if self.as_json:
            self.print_json(pretrained_json(row))
        else:
            self.stdout.write(row.pk)
