"""Django's settings. All environment variables of the server are read here, once."""

import os
import socket
from pathlib import Path

from rq.serializers import JSONSerializer

from digits_project import __version__, environment
from digits_project.common import fetch, onnx_runtime
from digits_project.stack.home import home_from_environment

BASE_DIR = Path(__file__).resolve().parent.parent

# --- this server ---------------------------------------------------------------------------------------------------
DIGITS_HOME = home_from_environment()
DIGITS_JOBS_DIR = Path(os.environ.get("DIGITS_JOBS_DIR", DIGITS_HOME / "jobs")).resolve()
DIGITS_WIRE_FORMAT = environment.choice("DIGITS_WIRE_FORMAT", "documented", "digits")
DIGITS_AUTH = environment.choice("DIGITS_AUTH", "required", "open")
# Whether users see only their own jobs and those shared with one of their groups.
DIGITS_PRIVATE = environment.private("DIGITS_PRIVATE", DIGITS_AUTH)
# Open: one person on one machine, who may name any folder. With accounts, only the configured folders are read.
DIGITS_DATA_ROOTS = environment.paths("DIGITS_DATA_ROOTS", "/" if DIGITS_AUTH == "open" else str(DIGITS_HOME / "data"))
DIGITS_ALLOW_URLS = environment.flag("DIGITS_ALLOW_URLS")
DIGITS_URL_POLICY = fetch.FetchPolicy()  # image_url can be on the public internet only
# Networks besides the public internet to which webhooks can go.
DIGITS_WEBHOOK_NETWORKS = environment.networks("DIGITS_WEBHOOK_NETWORKS")
DIGITS_INFERENCE_RATE = environment.number("DIGITS_INFERENCE_RATE", 3000)  # requests per minute and user; 0: no limit
# What runs snapshots, and which device of it: the number of a GPU, or OpenVINO's name of a device.
DIGITS_INFERENCE_PROVIDER = environment.choice("DIGITS_INFERENCE_PROVIDER", "auto", "cpu", *onnx_runtime.PROVIDERS)
DIGITS_INFERENCE_DEVICE = os.environ.get("DIGITS_INFERENCE_DEVICE", "")
DIGITS_MOST_WAITING = environment.number("DIGITS_MOST_WAITING", 500)  # jobs of one user; 0: any number
DIGITS_MAX_OWNER_DISK = environment.number("DIGITS_MAX_OWNER_DISK", 0)  # MiB on disk of one user's jobs; 0: any
DIGITS_MIN_FREE_DISK = environment.number("DIGITS_MIN_FREE_DISK", 0)  # MiB that no training may fill
DIGITS_MAX_SNAPSHOTS = environment.number("DIGITS_MAX_SNAPSHOTS", 0)  # per model; 0: any number
DIGITS_DATASET_REPORTS = environment.choice("DIGITS_DATASET_REPORTS", "auto", "off")  # a report after each build
DIGITS_MAX_UPLOAD = environment.number("DIGITS_MAX_UPLOAD", 4096)  # MiB of a form with files
DIGITS_URL_PREFIX = environment.url_prefix(
    "DIGITS_URL_PREFIX"
)  # "/digits" if a proxy serves it under that path, else ""
DIGITS_HTTPS = environment.flag("DIGITS_HTTPS")  # a proxy in front speaks HTTPS and sets X-Forwarded-Proto
DIGITS_HOST_NAME = os.environ.get("DIGITS_HOST_NAME") or socket.gethostname()
DIGITS_HOST_ADDRESS = os.environ.get("DIGITS_HOST_ADDRESS") or DIGITS_HOST_NAME  # where other hosts reach this one
DIGITS_RANK_PORTS = environment.ports("DIGITS_RANK_PORTS")  # where the ranks of several hosts meet; empty: any free one
DIGITS_RANK_TIMEOUT = environment.number("DIGITS_RANK_TIMEOUT", 300)  # seconds that ranks wait for each other
DIGITS_CPU_RANKS = environment.number("DIGITS_CPU_RANKS", 0)  # CPU devices of this host that count like GPUs; 0: none
DIGITS_ENGINE = os.environ.get("DIGITS_ENGINE") or "auto"  # the engine that engine=auto prefers
# The Python with PyTorch, in which its trainers run; "" for the server's own.
DIGITS_TORCH_PYTHON = environment.interpreter("DIGITS_TORCH_PYTHON", BASE_DIR / ".venv-torch/bin/python")

# --- PostgreSQL and Redis ---------------------------------------------------------------------------------------------
DATABASES = {"default": environment.database(environment.service_url("DATABASE_URL", DIGITS_HOME))}
REDIS_URL = environment.service_url("REDIS_URL", DIGITS_HOME) or "redis://127.0.0.1:6379/0"
RQ_QUEUES = {
    # RQ sets no time limit on jobs. The reaper ends a job that sends no heartbeat (jobs.execution.reaper).
    name: {"URL": REDIS_URL, "DEFAULT_TIMEOUT": -1, "SERIALIZER": JSONSerializer}
    for name in ("io", f"train-{DIGITS_HOST_NAME}")
}

# --- Django --------------------------------------------------------------------------------------------------------
SECRET_KEY = environment.secret_key(DIGITS_HOME)
DEBUG = False
ALLOWED_HOSTS = [host for host in os.environ.get("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]").split(",") if host]
ROOT_URLCONF = "digits_project.urls"
WSGI_APPLICATION = "digits_project.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
FORCE_SCRIPT_NAME = DIGITS_URL_PREFIX or None
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
STATIC_URL = f"{DIGITS_URL_PREFIX}/static/"
STATICFILES_DIRS = [BASE_DIR / "digits_project/web/static"]
LOGIN_URL = "login"
LOGOUT_REDIRECT_URL = "home"  # after the logout of the admin
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "digits_project.jobs",
    "digits_project.monitoring",
    "datasets",
    "models_app",
    "inference",
    "digits_project.webhooks",
    "digits_project.accounts",  # last, because its groups get the permissions of all other apps
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "digits_project.server.middleware.forget_changed_rows",
    "digits_project.server.middleware.forgive_double_slash",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "digits_project.api.uploads.limit_body",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "digits_project.server.middleware.actor",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "digits_project.server.middleware.break_cycles",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "digits_project/web/templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "digits_project.api.browsable.client_name",
            ],
            "libraries": {"components": "digits_project.web.components"},
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
AUTHENTICATION_BACKENDS = ["digits_project.accounts.login_throttling.ThrottledBackend"]

# --- logging in at an OpenID Connect provider (accounts.oidc) ------------------------------------------------------
DIGITS_OIDC_ISSUER = environment.issuer("DIGITS_OIDC_ISSUER")  # the provider's address; "" for none
DIGITS_OIDC_NAME = os.environ.get("DIGITS_OIDC_NAME") or "single sign-on"
DIGITS_OIDC_GROUPS = environment.mapping("DIGITS_OIDC_GROUPS")  # (group of the provider, group of this server)
DIGITS_OIDC_GROUPS_CLAIM = os.environ.get("DIGITS_OIDC_GROUPS_CLAIM") or "groups"
if DIGITS_OIDC_ISSUER:
    AUTHENTICATION_BACKENDS.append("digits_project.accounts.oidc.OidcBackend")
# Settings of mozilla-django-oidc.
OIDC_RP_CLIENT_ID = os.environ.get("DIGITS_OIDC_CLIENT_ID", "")
OIDC_RP_CLIENT_SECRET = environment.secret("DIGITS_OIDC_CLIENT_SECRET")
OIDC_RP_SCOPES = os.environ.get("DIGITS_OIDC_SCOPES") or "openid email profile"
OIDC_RP_SIGN_ALGO = "RS256"
OIDC_USE_PKCE = True
OIDC_TIMEOUT = 10  # seconds
OIDC_AUTHENTICATION_CALLBACK_URL = "oidc-callback"

# In the memory of each process: Django's Redis cache holds pickles, which run code for anybody who can write to Redis.
# What web processes must share is in common.shared_memory.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 10_000}}}
# Cookie names of this server's own, because browsers send the cookies of a host to every port, also to another Django.
DIGITS_ID = environment.server_id(DIGITS_HOME, SECRET_KEY)
SESSION_ENGINE = "digits_project.server.sessions"
SESSION_COOKIE_NAME = f"digits_session_{DIGITS_ID}"
CSRF_COOKIE_NAME = f"digits_csrf_{DIGITS_ID}"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"  # the default uses a cookie named "messages"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = DIGITS_URL_PREFIX or "/"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = DIGITS_HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if DIGITS_HTTPS else None
SECURE_HSTS_SECONDS = 31_536_000 if DIGITS_HTTPS else 0
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 2**20  # the fields of a form; files are streamed to disk
FILE_UPLOAD_HANDLERS = [
    "digits_project.api.small_forms.SmallForm",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "digits_project.api.uploads.DiskUpload",
]
FILE_UPLOAD_TEMP_DIR = environment.folder(DIGITS_HOME / "uploads")

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "digits_project.accounts.authentication.Session",
        "digits_project.accounts.authentication.Token",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["digits_project.accounts.permissions.MayUse"],
    "DEFAULT_RENDERER_CLASSES": [
        "digits_project.api.renderers.PrettyJSONRenderer",
        "digits_project.api.browsable.BrowsablePage",
    ],
    "DEFAULT_PARSER_CLASSES": [
        "rest_framework.parsers.MultiPartParser",
        "rest_framework.parsers.FormParser",
        "digits_project.api.forms.JSONObjectParser",
    ],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "digits_project.api.renderers.SuffixNegotiation",
    "EXCEPTION_HANDLER": "digits_project.api.exception_handler.exception_handler",
    "DEFAULT_SCHEMA_CLASS": "digits_project.api.openapi.Schema",
    "URL_FORMAT_OVERRIDE": None,
    "NUM_PROXIES": 0,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "DIGITS",
    "DESCRIPTION": """Turns folders of images into trained networks.

An address that ends in `.json` responds with JSON. The same address without the suffix responds with a page, or with
JSON if `Accept` prefers it. Form, multipart and JSON bodies have the same fields; for each route this schema names one
of them, multipart if there are files. Unknown fields are ignored, and the
header `X-Digits-Ignored` lists them. A blank optional field means its default. Booleans: `y yes true on 1` mean true,
`n no false off 0` mean false.

A server uses one of two wire formats. With `DIGITS_WIRE_FORMAT=documented`, the default, `errors` is a list of
`{field, message}`, and `predictions` is an object of categories and percents, best first. With `digits`, which clients
of DIGITS parse, `errors` is an object of fields and their messages, and `predictions` is a list of pairs.""",
    "VERSION": __version__,
    "SERVERS": [{"url": DIGITS_URL_PREFIX}] if DIGITS_URL_PREFIX else [],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["digits_project.accounts.permissions.MayUse"],
    "PREPROCESSING_HOOKS": ["digits_project.api.openapi.one_of_each_route"],
    # drf-spectacular's own hook for enum names is left out, because two forms have different types of `method`.
    "POSTPROCESSING_HOOKS": ["digits_project.api.openapi.without_marks"],
    "SORT_OPERATION_PARAMETERS": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SWAGGER_UI_DIST": "SIDECAR",  # from a package, because our pages load nothing from other sites
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "docExpansion": "list", "defaultModelsExpandDepth": 0},
}

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "digits_project.monitoring.log_format.OneLine", "format": LINE},
        "brief": {"()": "digits_project.monitoring.log_format.Brief", "format": LINE},
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line"},
        "brief": {"class": "logging.StreamHandler", "formatter": "brief"},
    },
    "loggers": {
        # redis-py would set the same level in each process, and thereby make logging write to all loggers (0.7 MiB).
        "push_response": {"level": "INFO"},
        "rq.worker": {"level": "WARNING"},  # it logs every clean-up; lifecycle logs every job
        "django.security": {"handlers": ["brief"], "propagate": False},  # foreign hosts, malformed requests
    },
    "root": {"handlers": ["stderr"], "level": os.environ.get("DIGITS_LOG_LEVEL", "INFO").upper()},
}
