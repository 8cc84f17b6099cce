"""`manage.py train_model NAME …`"""

from digits_project.jobs.console.command import Exit
from digits_project.jobs.console.form_options import FormOptions
from digits_project.jobs.console.work_command import WorkCommand, add_owner
from models_app import recipes, searches
from models_app.api.model_responses import model_json
from models_app.api.plans import in_words, plan, recipe_in_words
from models_app.api.search_views import search_json
from models_app.api.serializers import FORMS, ModelForm
from models_app.kinds import CLASSIFICATION, GENERIC
from models_app.models import TrainedModel
from models_app.search.search_job import Search

OPTIONS = FormOptions(*FORMS.values(), name="model_name")


class Command(WorkCommand):
    help = (
        "Train a network on a dataset: a standard network, the network of another model (--method previous), or "
        "your own (--method custom). Several learning rates or batch sizes, separated by commas, train one model "
        "for each combination. A range, such as --learning-rate '0.0001..0.1 log', starts a search for the best value, "
        "which trains --search-trials models. Prints the ids of the models, or of the search."
    )
    example = (
        "lenet --dataset 20261125-120000-0c1a --standard-networks lenet --train-epochs 5\n"
        "sweep --dataset 20261125-120000-0c1a --standard-networks lenet --learning-rate 0.1,0.01 --no-wait\n"
        "hunt --dataset 20261125-120000-0c1a --learning-rate '0.0001..0.1 log' --search-trials 20\n"
        "photos --dataset 20261125-120000-0c1a --recipe finetune --dry-run\n"
        "own --generic --dataset 20261125-120000-0c1a --custom-network network.prototxt"
    )
    work = "train"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        add_owner(parser)
        parser.add_argument(
            "--generic", action="store_true", help="a network with any losses and outputs, on any dataset"
        )
        parser.add_argument(
            "--previous-snapshot",
            metavar="EPOCH",
            help="epoch of the previous network's weights to start from, latest or best",
        )
        OPTIONS.add_to(parser)

    def describe(self, job):
        return search_json(job) if isinstance(job, Search) else model_json(job)

    def warnings(self, job):
        return [] if isinstance(job, Search) else job.warnings

    def remarks(self, job):
        """What a recipe filled in, and why."""
        return recipe_in_words(job.fields if isinstance(job, Search) else vars(job))

    def handle(self, **options):
        return self._plan(options) if options.get("dry_run") else super().handle(**options)

    def _plan(self, options) -> None:
        """Print what would be created, with estimates."""
        form, names = self._form(options)
        with OPTIONS.form_errors(form, names):
            form.is_valid(raise_exception=True)
            planned = plan(options["owner"], form)
        if self.as_json:
            self.print_json(planned[0] if len(planned) == 1 else {"jobs": planned})
        else:
            self.stdout.write("\n".join(line for model in planned for line in (model["name"], *in_words(model))))
        self.end(Exit.FAILED if any(model["refusals"] for model in planned) else Exit.DONE)

    def jobs(self, options):
        form, names = self._form(options)
        with OPTIONS.form_errors(form, names):
            form.is_valid(raise_exception=True)
            self.refuse_without_workers(TrainedModel, options)
            return searches.create_jobs(options["owner"], **form.validated_data)

    def _form(self, options) -> tuple[ModelForm, dict[str, str]]:
        """The form, and the options of fields that it lacks."""
        data, names = {"recipe": recipes.AUTO, **OPTIONS.data(options)}, {}
        if options["previous_snapshot"] is not None:
            field = f"{data.get('previous_networks', '')}-snapshot"
            data[field], names[field] = options["previous_snapshot"], "--previous-snapshot"
        return FORMS[GENERIC if options["generic"] else CLASSIFICATION](data=data), names
