"""Serializers of the inference responses, for the schema."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from inference.download.archive_stream import FORMS
from inference.explanations import CAM, OCCLUSION

PAIR = {"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "number"}]}, "minItems": 2, "maxItems": 2}
PAIRS = {"type": "array", "items": PAIR}
PERCENTS = {"type": "object", "additionalProperties": {"type": "number", "minimum": 0, "maximum": 100}}
ARRAYS = {"type": "object", "additionalProperties": {"type": "array", "items": {}}}
VISUALIZATION = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "vis_type": {"type": "string", "enum": ["Weights", "Activation"]},
        "layer_type": {"type": "string", "description": "Only for weights: the layer's type."},
        "param_count": {
            "type": "integer",
            "description": "Only for weights: how many parameters the layer has, biases included.",
        },
        "data_stats": {
            "type": "object",
            "description": "shape, mean, stddev, min, max, and histogram: [counts, centres of the bins, ticks].",
        },
        "image_html": {"type": "string", "description": "A PNG picture, `data:image/png;base64,…`."},
    },
    "required": ["name", "vis_type", "data_stats", "image_html"],
}
VISUALIZATIONS = {"type": "array", "items": VISUALIZATION, "description": "With `?visualizations=1`."}

EXPLANATION = {
    "type": "object",
    "description": "With `?explain=1`: which parts of the image speak for a category.",
    "properties": {
        "category": {"type": "string"},
        "method": {"type": "string", "enum": [CAM, OCCLUSION]},
        "grid": {
            "type": "array",
            "items": {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}},
            "description": "Rows of the image, from its top, each from the left; 1 is the part that speaks most.",
        },
        "png": {"type": "string", "description": "A picture to lay over `image`, `data:image/png;base64,…`."},
        "image": {"type": "string", "description": "The image as the dataset's images are, in the same form."},
        "deletion": {
            "type": "number",
            "description": "The mean score while the most important pixels are removed, 0 to 1: a good map's is low.",
        },
        "insertion": {
            "type": "number",
            "description": "The mean score while they appear on the blurred image, 0 to 1: a good map's is high.",
        },
    },
    "required": ["category", "method", "grid", "png", "image", "deletion", "insertion"],
}

CERTAINTY = {
    "unsure": {
        "type": "boolean",
        "nullable": True,
        "description": "With `?details=1`: whether the confidence is below the threshold; null if there is none.",
    },
    "confidence": {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "description": "With `?details=1`: of the best category, calibrated if the snapshot has a temperature.",
    },
    "threshold": {"type": "number", "nullable": True, "description": "With `?details=1`."},
    "temperature": {"type": "number", "nullable": True, "description": "With `?details=1`: null before an evaluation."},
}


def _response(key: str, value: dict, description: str, **optional: dict) -> OpenApiResponse:
    properties = {key: value} | optional
    return OpenApiResponse({"type": "object", "properties": properties, "required": [key]}, description)


def _of_each(value: dict) -> dict:
    return {"type": "object", "additionalProperties": value}


PREDICTIONS = _response(
    "predictions",
    {"oneOf": [PERCENTS, PAIRS]},
    "`{category: percent}`, best first, at most five; with DIGITS_WIRE_FORMAT=digits `[[category, percent], …]`.",
    visualizations=VISUALIZATIONS,
    explanation=EXPLANATION,
    **CERTAINTY,
)
CLASSIFICATIONS = _response(
    "classifications",
    _of_each(PAIRS),
    "For each image its `[[category, percent], …]`.",
    unsure=_of_each({"type": "boolean", "nullable": True}) | {"description": "With `?details=1`."},
)
OUTPUTS = _response(
    "outputs",
    ARRAYS,
    "The values of each output of the network, for a batch of one image.",
    visualizations=VISUALIZATIONS,
)
OUTPUTS_OF_MANY = _response(
    "outputs", _of_each(ARRAYS), "For each image the values of each output, without a batch axis."
)
TOP_N = _response("top_n", _of_each(PAIRS), "For each category its `[[image, percent], …]`, surest first.")
ARCHIVES = {(200, form.media_type): OpenApiTypes.BINARY for form in FORMS.values()}
OCTETS = "application/octet-stream"
ONNX = {(200, OCTETS): OpenApiTypes.BINARY}
DOWNLOADS = (*FORMS, "onnx")
FORM = OpenApiParameter(
    "form", str, OpenApiParameter.PATH, enum=DOWNLOADS, description="The kind of archive, or onnx: the network alone."
)
JOB_ID = OpenApiParameter("job_id", str, description="The model's id; the body can have it instead.")
SKIPPED = OpenApiParameter(
    "X-Digits-Skipped", int, OpenApiParameter.HEADER, response=[200], description="How many images were left out."
)
UNSURE = OpenApiParameter(
    "X-Digits-Unsure",
    bool,
    OpenApiParameter.HEADER,
    response=[200],
    description="Whether the confidence is below the threshold; absent if there is none.",
)
