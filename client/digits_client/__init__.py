"""The Python client of the DIGITS server: from a folder of images to a trained classifier in a few lines."""

from digits_client.errors import (
    ApiError,
    Conflict,
    ConnectionFailed,
    DigitsError,
    InvalidField,
    JobAborted,
    JobFailed,
    NotAllowed,
    NotFound,
    NotLoggedIn,
    ServerFault,
    TooManyRequests,
    WaitTimeout,
)
from digits_client.events import Event
from digits_client.resources.comparison import Comparison
from digits_client.resources.datasets import Dataset
from digits_client.resources.evaluations import Evaluation
from digits_client.resources.jobs import Job
from digits_client.resources.models import Model
from digits_client.resources.pretrained import Pretrained
from digits_client.resources.reports import Finding, MapPoint, Report, ReportMap, SimilarImage
from digits_client.resources.searches import Search
from digits_client.resources.uploads import Upload
from digits_client.resources.webhooks import Webhook, is_genuine
from digits_client.results import Classification, Explanation, Prediction, Snapshot
from digits_client.server import Server
from digits_client.version import VERSION as __version__

__all__ = [
    "ApiError",
    "Classification",
    "Comparison",
    "Conflict",
    "ConnectionFailed",
    "Dataset",
    "DigitsError",
    "Evaluation",
    "Event",
    "Explanation",
    "Finding",
    "InvalidField",
    "Job",
    "JobAborted",
    "JobFailed",
    "MapPoint",
    "Model",
    "NotAllowed",
    "NotFound",
    "NotLoggedIn",
    "Prediction",
    "Pretrained",
    "Report",
    "ReportMap",
    "Search",
    "Server",
    "ServerFault",
    "SimilarImage",
    "Snapshot",
    "TooManyRequests",
    "Upload",
    "WaitTimeout",
    "Webhook",
    "__version__",
    "is_genuine",
]
