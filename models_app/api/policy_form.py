"""The form of a learning rate's policy, which the forms of models begin with."""

from rest_framework import serializers

from digits_project.api.forms import Form
from models_app.api import model_descriptions
from models_app.api.model_fields import ListField, Number, Numbers, PositiveNumber
from models_app.training.schedule import POLICIES, BadPolicy, LearningRatePolicy


def not_negative(default: float) -> Number:
    return Number(default=default, min_value=0, max_value=1e30)


class PolicyForm(Form):
    """What POST /models/visualize-lr takes: how the learning rate falls."""

    DESCRIPTIONS = model_descriptions.POLICY

    learning_rate = ListField(PositiveNumber(), default=[LearningRatePolicy.learning_rate])
    lr_policy = serializers.ChoiceField(POLICIES, default=LearningRatePolicy.lr_policy)
    lr_step_size = PositiveNumber(default=LearningRatePolicy.lr_step_size)
    lr_step_gamma = not_negative(LearningRatePolicy.lr_step_gamma)
    lr_multistep_values = Numbers(default=LearningRatePolicy.lr_multistep_values, max_length=1000)
    lr_multistep_gamma = not_negative(LearningRatePolicy.lr_multistep_gamma)
    lr_exp_gamma = not_negative(LearningRatePolicy.lr_exp_gamma)
    lr_inv_gamma = not_negative(LearningRatePolicy.lr_inv_gamma)
    lr_inv_power = not_negative(LearningRatePolicy.lr_inv_power)
    lr_poly_power = not_negative(LearningRatePolicy.lr_poly_power)
    lr_sigmoid_step = not_negative(LearningRatePolicy.lr_sigmoid_step)
    lr_sigmoid_gamma = not_negative(LearningRatePolicy.lr_sigmoid_gamma)

    def wrong_together(self, values):
        parameters = {name: values[name] for name in _of_policy(values.get("lr_policy")) if name in values}
        try:
            for base in values.get("learning_rate", [LearningRatePolicy.learning_rate]):
                LearningRatePolicy(learning_rate=base, lr_policy=values["lr_policy"], **parameters).check()
        except KeyError:  # the policy is wrong by itself
            return {}
        except BadPolicy as wrong:
            return {wrong.field: str(wrong)}
        return {}

    def validate(self, form):
        """Of the policies' parameters only those of the chosen one are kept, as `lr_parameters`."""
        given = {name: form.pop(name) for name in list(form) if name.startswith("lr_") and name != "lr_policy"}
        form["lr_parameters"] = {name: given[name] for name in _of_policy(form["lr_policy"])}
        return form


def _of_policy(policy: str | None) -> list[str]:
    """The parameters of a policy."""
    return [name for name in LearningRatePolicy.__dataclass_fields__ if name.startswith(f"lr_{policy}_")]
