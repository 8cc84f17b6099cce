"""What only pages show of models, searches and pretrained models. At the start of the server jobs.apps imports this
package."""

from models_app.pages import model_listing

__all__ = ["model_listing"]
