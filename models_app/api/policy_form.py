"""The form of a learning rate policy, which is the first part of the model forms."""

from digits_project.api.forms import Form
from models_app.api.hyperparameter_fields import form_fields
from models_app.training.hyperparameter_declaration import BadHyperparameter, hyperparameters_of
from models_app.training.learning_rate import POLICIES, LearningRatePolicy


class PolicyForm(Form):
    """The form of POST /models/visualize-lr: a learning rate and the policy by which it falls."""

    def unordered_fields(self):
        return form_fields(hyperparameters_of(LearningRatePolicy)) | super().unordered_fields()

    def wrong_together(self, values):
        if "lr_policy" not in values:
            return {}
        names = ["lr_policy", "lr_warmup", *_of_policy(values["lr_policy"])]
        parameters = {name: values[name] for name in names if name in values}
        try:
            for base in values.get("learning_rate", [LearningRatePolicy.learning_rate]):
                LearningRatePolicy(learning_rate=base, **parameters).check_rates()
        except BadHyperparameter as wrong:
            return {wrong.field: str(wrong)}
        return {}

    def validate(self, form):
        """Collect the parameters of the chosen policy in `lr_parameters`, and drop those of other policies."""
        given = {name: form.pop(name) for policy in POLICIES for name in _of_policy(policy)}
        form["lr_parameters"] = {name: given[name] for name in _of_policy(form["lr_policy"])}
        return form


def _of_policy(policy: str | None) -> list[str]:
    """The names of a policy's parameters."""
    return [
        declared.name
        for declared in hyperparameters_of(LearningRatePolicy)
        if declared.only_with == ("lr_policy", policy)
    ]
