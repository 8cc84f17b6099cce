"""The admin's pages of models and evaluations; Django finds them by importing this package."""

from models_app.admin import evaluation_admin, model_admin, pretrained_admin

__all__ = ["evaluation_admin", "model_admin", "pretrained_admin"]
