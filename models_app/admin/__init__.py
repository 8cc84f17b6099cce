"""The admin's pages of models, evaluations and searches; Django finds them by importing this package."""

from models_app.admin import evaluation_admin, model_admin, pretrained_admin, search_admin

__all__ = ["evaluation_admin", "model_admin", "pretrained_admin", "search_admin"]
