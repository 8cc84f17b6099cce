"""The admin's pages that create jobs, with the API's forms and services."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.shortcuts import redirect, render
from rest_framework import serializers
from rest_framework.fields import empty

from digits_project.accounts import usernames
from digits_project.accounts.viewer import limited_user, without_paths
from digits_project.api.forms import Form, OpenChoiceField, PathField
from digits_project.api.uploads import Upload
from digits_project.common.errors import BadInput, LimitReached
from digits_project.jobs.admin.privacy import ShowsWhatIsVisible
from digits_project.jobs.models import J
from digits_project.jobs.templatetags.operators import admin_page


class Shown(NamedTuple):
    """A form field on the page. `widget` is select, job (a select of jobs by name), checkbox, textarea, file, text, or
    path, for which paths are suggested. `only` names the choice for which it is shown: "method=folder"; "" for all."""

    name: str
    widget: str
    value: object
    required: bool
    help: str
    choices: Sequence
    errors: Sequence[str]
    only: str


class CreatesJobs(ShowsWhatIsVisible[J]):
    """The page that adds jobs of one class: it has the API's forms, and `?clone=<id>` fills them in."""

    forms: Mapping[str, type[Form]] = {}  # by the kind of job
    create_template = "admin/jobs/create.html"
    create_script = ""  # a module among the static files

    def create(self, owner: str, **fields) -> list[J]:
        """Create the jobs through the service. Raises ValidationError or BadInput."""
        raise NotImplementedError

    def kind_of(self, job: J) -> str:
        """The kind of the form that creates such a job."""
        raise NotImplementedError

    def form_values(self, job: J) -> dict:
        """The form fields that would create the same job again."""
        raise NotImplementedError

    def belongs(self, name: str) -> str:
        """The choice for which a field is shown, such as "method=folder"; "" for all."""
        return ""

    def arranged(self, fields: list[Shown], values: dict, errors: dict) -> list[Shown]:
        """The fields in the order of the page."""
        return fields

    def suggestions(self, request) -> dict[str, list[tuple[str, str]]]:
        """{field: [(value, label)]}: values that the page suggests for text fields."""
        return {}

    def posted(self, request) -> dict:
        """The posted data, including files."""
        data = request.POST.copy()
        data.update(request.FILES)
        return data

    def has_add_permission(self, request):
        return bool(self.forms) and super().has_add_permission(request)

    def add_view(self, request, form_url="", extra_context=None):
        if not self.has_add_permission(request):
            raise PermissionDenied
        clone = self.seen(request, request.GET["clone"]) if request.GET.get("clone") else None
        named = self.kind_of(clone) if clone else request.GET.get("kind")
        kind = named if named in self.forms else next(iter(self.forms))
        values: dict = self.form_values(clone) if clone else request.GET.dict()
        errors: dict = {}
        if clone and limited_user():
            values |= dict.fromkeys(clone.PATHS, "")
        if request.method == "POST":
            values = request.POST
            made, errors = self._make(self.forms[kind](data=self.posted(request)), usernames.owner(request))
            errors = without_paths(errors)
            if made:
                self.message_user(request, f"Created: {', '.join(job.name for job in made[:5])}.", messages.SUCCESS)
                return redirect(admin_page(made[0]) if len(made) == 1 else self.address("changelist"))
        return render(request, self.create_template, self._context(request, kind, clone, values, errors))

    def _make(self, form: Form, owner: str) -> tuple[list[J], dict]:
        """The created jobs, and the errors by field; one of them is empty."""
        try:
            form.is_valid(raise_exception=True)
            return self.create(owner, **form.validated_data), {}
        except serializers.ValidationError as wrong:
            return [], wrong.detail if isinstance(wrong.detail, dict) else {"": wrong.detail}
        except DjangoValidationError as wrong:
            return [], {form.WIRE_NAMES.get(column, column): reasons for column, reasons in wrong.message_dict.items()}
        except (BadInput, LimitReached) as wrong:
            return [], {"": [str(wrong)]}

    def shown_fields(self, kind: str, values: dict, errors: dict) -> list[Shown]:
        """The fields of the form for this kind, with the values and the errors that the page shows."""
        form = self.forms[kind]()
        form.for_page()
        fields = [
            _shown(name, field, values, errors.get(name, []), self.belongs(name))
            for name, field in form.fields.items()
            if field.style.get("input_type") != "hidden"  # scripts of other pages fill these in
        ]
        return self.arranged(fields, values, errors)

    def _context(self, request, kind: str, clone: J | None, values: dict, errors: dict) -> dict:
        return self.admin_site.each_context(request) | {
            "title": f"Add {self.opts.verbose_name}",
            "opts": self.opts,
            "kind": kind,
            "kinds": list(self.forms),
            "clone": clone,
            "fields": self.shown_fields(kind, values, errors),
            "problems": [
                f"{name}: {_joined(reasons)}" if name else _joined(reasons) for name, reasons in errors.items()
            ],
            "suggestions": self.suggestions(request),
            "script": self.create_script,
        }


def _joined(reasons: Sequence) -> str:
    return " ".join(map(str, reasons)) if isinstance(reasons, (list, tuple)) else str(reasons)


def _shown(name: str, field: serializers.Field, values: dict, errors, only: str) -> Shown:
    value = values.get(name, field.initial if field.initial is not empty else "")
    choices: Sequence = ()
    if isinstance(field, serializers.ChoiceField) and not isinstance(field, OpenChoiceField):
        widget, choices = "select", [*([""] if field.allow_blank else []), *field.choices]
    elif isinstance(field, serializers.BooleanField):
        widget, value = "checkbox", value in field.TRUE_VALUES
    elif hasattr(field, "candidates"):
        widget, choices = "job", _with_present(field.candidates(), value)
    elif isinstance(field, Upload):
        widget, value = "file", ""
    elif isinstance(field, PathField):
        widget = "path"
    else:
        widget = "textarea" if field.style.get("base_template") == "textarea.html" else "text"
    required = field.required and not only
    return Shown(
        name, widget, "" if value is None else value, required, str(field.help_text or ""), choices, errors, only
    )


def _with_present(jobs: Sequence[tuple[str, str]], value: object) -> list[tuple[str, str]]:
    """(id, name) of the jobs to choose from, and of the job that is chosen, which may be too old to be among them."""
    present = [] if not value or value in dict(jobs) else [(str(value), str(value))]
    return [("", "-"), *present, *jobs]
