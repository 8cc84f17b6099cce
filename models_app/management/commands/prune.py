"""`manage.py prune`"""

from collections.abc import Iterator

from django.template.defaultfilters import filesizeformat

from digits_project.common.errors import Refused
from digits_project.jobs.console.command import ConsoleCommand, Exit, job_of, wrong
from digits_project.jobs.disk_usage import size
from models_app import services
from models_app.models import TrainedModel
from models_app.pruning import Rule, prunable, remove_optimizer_states, spare_optimizer_states
from models_app.results import Snapshot


def _every_model() -> Iterator[TrainedModel]:
    """All models, read one at a time.

    QuerySet.iterator() is not used: on the tables of an older version its server-side cursor can't be opened, and
    Django fails while closing it, with an exception that is not one of Django's.
    """
    for pk in TrainedModel.objects.values_list("pk", flat=True):
        if model := TrainedModel.objects.filter(pk=pk).first():  # it can be deleted meanwhile
            yield model


class Command(ConsoleCommand):
    help = (
        "Delete all snapshots that no option keeps, and the optimizer's state of those from which no training goes on. "
        "Without --yes, only list them. Snapshots that are marked to be kept stay, and so do those from which another "
        "model is still to start."
    )
    example = "20261125-120000-0c1a --best 2 --newest 1 --every 10\n--all --yes"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument(
            "model_ids", nargs="*", metavar="MODEL_ID", help="the models' ids, as manage.py jobs lists them"
        )
        parser.add_argument("--all", action="store_true", help="all models")
        parser.add_argument(
            "--best", type=int, default=Rule.best, help="how many of the best to keep, by validation [1]"
        )
        parser.add_argument("--newest", type=int, default=Rule.newest, help="how many of the newest to keep [1]")
        parser.add_argument("--every", type=int, default=Rule.every, help="keep every n-th [0: none]")
        parser.add_argument("--yes", action="store_true", help="delete the snapshots")

    def handle(self, *, model_ids, yes, **options):
        rule = Rule(*(options[name] for name in ("best", "newest", "every")))
        if min(rule.best, rule.newest, rule.every) < 0:
            raise wrong("--best, --newest and --every must be whole numbers from 0.")
        if bool(model_ids) == options["all"]:
            raise wrong("Name models, or use --all.")
        models = [job_of(job_id, TrainedModel) for job_id in model_ids] or _every_model()
        gone, states, refused = [], [], False
        for model in models:
            doomed = prunable(model, rule)
            folders = {snapshot.directory for snapshot in doomed}
            states += [file.stat().st_size for file in spare_optimizer_states(model) if file.parent not in folders]
            for snapshot in doomed:
                described = {"model_id": model.pk, "epoch": snapshot.epoch, "bytes": size(snapshot.directory)}
                if why := self._remove(snapshot) if yes else "":
                    refused = True
                    self.screen.line(f"{model.pk} epoch {snapshot.epoch:g} stays: {why}")
                else:
                    gone.append(described)
            if yes:
                remove_optimizer_states(model)
        self._say(gone, states, yes)
        self.end(Exit.FAILED if refused else Exit.DONE)

    def _remove(self, snapshot: Snapshot) -> str:
        """Delete a snapshot. Returns the reason if the server refuses, else an empty string."""
        try:
            services.delete_snapshot(snapshot)
        except Refused as refusal:
            return str(refusal)
        return ""

    def _say(self, gone: list[dict], states: list[int], done: bool) -> None:
        total = sum(one["bytes"] for one in gone)
        if self.as_json:
            spare = {"count": len(states), "bytes": sum(states)}
            self.print_json({"deleted": done, "bytes": total, "snapshots": gone, "optimizer_states": spare})
            return
        self.print_table((one["model_id"], f"epoch {one['epoch']:g}", filesizeformat(one["bytes"])) for one in gone)
        what = "are deleted" if done else "would be deleted; --yes deletes them"
        self.stdout.write(f"{len(gone)} snapshots, {filesizeformat(total)}, {what}.")
        if states:
            size_of_states = filesizeformat(sum(states))
            self.stdout.write(f"So {'is' if done else 'would be'} the optimizer's state of {len(states)} more, "
                              f"{size_of_states}, from which no training goes on.")  # fmt: skip
