"""Django's settings: from environment variables only, typed, and wrong ones stop the start."""

from pathlib import Path

from csp.constants import NONCE
from django.core.exceptions import ImproperlyConfigured

from config import environment as env
from kernel.telemetry import crashes, logs

ROOT = Path(__file__).resolve().parents[2]
VERSION = "0.1.0"

SECRET_KEY = env.secret("SECRET_KEY", at_least=32)
DEBUG = env.boolean("DEBUG", default=False)
PUBLIC_URL = env.url("PUBLIC_URL", default="http://127.0.0.1:8000")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
# Only these may say on whose behalf they ask.
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES")

LOOMWORKS_HOME = env.folder("LOOMWORKS_HOME", default=ROOT / "var")
MODELS_DIR = env.folder("MODELS_DIR", default=LOOMWORKS_HOME / "models")
SCRATCH_DIR = env.private_folder("SCRATCH_DIR", default=LOOMWORKS_HOME / "scratch")
SPOOL_DIR = env.private_folder("SPOOL_DIR", default=LOOMWORKS_HOME / "spool")

# Who makes master keys; what another one of these made is still opened by it.
KEY_PROVIDER = env.one_of("KEY_PROVIDER", ["local", "aws-kms", "vault"], default="local")
KEYRING_FILE = env.folder("KEYRING_FILE", default=LOOMWORKS_HOME / "secrets" / "keyring.json")
AWS_KMS_REGION = env.text("AWS_KMS_REGION", default="us-east-1")
AWS_KMS_ENDPOINT_URL = env.optional_url("AWS_KMS_ENDPOINT_URL")
AWS_KMS_ACCESS_KEY_ID = env.text("AWS_KMS_ACCESS_KEY_ID", default="")
AWS_KMS_SECRET_ACCESS_KEY = env.text("AWS_KMS_SECRET_ACCESS_KEY", default="")
AWS_KMS_SHARED_KEY = env.matching(
    "AWS_KMS_SHARED_KEY", r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+", "a key's ARN"
)
AWS_KMS_DELETION_DAYS = env.whole_number("AWS_KMS_DELETION_DAYS", default=7, within=range(7, 31))
VAULT_ADDRESS = env.optional_url("VAULT_ADDRESS", required=KEY_PROVIDER == "vault")
VAULT_MOUNT = env.text("VAULT_MOUNT", default="transit")
VAULT_NAMESPACE = env.text("VAULT_NAMESPACE", default="")
VAULT_CA_FILE = env.text("VAULT_CA_FILE", default="")
VAULT_TOKEN = env.text("VAULT_TOKEN", default="")
VAULT_TOKEN_FILE = env.text("VAULT_TOKEN_FILE", default="")
if VAULT_ADDRESS and bool(VAULT_TOKEN) == bool(VAULT_TOKEN_FILE):
    raise ImproperlyConfigured("VAULT_ADDRESS needs one of VAULT_TOKEN and VAULT_TOKEN_FILE.")
SIGNING_KEY_FILE = env.folder("SIGNING_KEY_FILE", default=LOOMWORKS_HOME / "secrets" / "signing.json")

API_KEY_PEPPER = env.hexadecimal("API_KEY_PEPPER", length_bytes=32)
POD_URL = env.url("POD_URL", default="http://127.0.0.1:8003")
POD_KEY = env.secret("POD_KEY", at_least=16)
VALKEY_URL = env.url("VALKEY_URL", default="redis://127.0.0.1:8001/0")

S3_ENDPOINT_URL = env.url("S3_ENDPOINT_URL", default="http://127.0.0.1:8002")
S3_BUCKET = env.text("S3_BUCKET", default="loomworks")
S3_ACCESS_KEY_ID = env.text("S3_ACCESS_KEY_ID")
S3_SECRET_ACCESS_KEY = env.secret("S3_SECRET_ACCESS_KEY", at_least=8)
S3_REGION = env.text("S3_REGION", default="us-east-1")
# Encryption by the store itself, under this key of AWS KMS, around our own.
S3_SSE_KMS_KEY_ID = env.text("S3_SSE_KMS_KEY_ID", default="")
# A bucket with Object Lock, for what must not be changed for a time.
S3_LOCKED_BUCKET = env.text("S3_LOCKED_BUCKET", default="")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "guardian",
    "csp",
    "django_vite",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "axes",
    "kernel.tenancy",
    "kernel.crypto",
    "kernel.audit",
    "kernel.events",
    "kernel.api",
    "kernel.webhooks",
    "tenants.organizations",
    "tenants.limits",
    "tenants.access",
    "tenants.identity",
    "tenants.administration",
    "tenants.datasets",
    "tenants.compliance",
    "training.registry",
    "training.jobs",
    "inference.deployments",
    "inference.usage",
    "inference.chat",
    "inference.batches",
    "inference.responses",
    "inference.prompts",
    "config.apps.CompositionConfig",
]

MIDDLEWARE = [
    "config.middleware.request_id",
    "config.middleware.keep_nothing",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.middleware.language_of_pages",
    "allauth.account.middleware.AccountMiddleware",
    "tenants.identity.sso.own_factors.keep_to_the_organization",
    "tenants.identity.activity.note_activity",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ]
        },
    }
]

DATABASES = {
    "default": {
        **env.database("DATABASE_URL"),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"pool": {"min_size": 1, "max_size": 16, "timeout": 10}, "connect_timeout": 5},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": VALKEY_URL}}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [VALKEY_URL], "prefix": "lw:channels"},
    }
}

AUTH_USER_MODEL = "access.User"
GUARDIAN_USER_OBJ_PERMS_MODEL = "access.TenantUserPermission"
GUARDIAN_GROUP_OBJ_PERMS_MODEL = "access.TenantGroupPermission"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "tenants.access.backends.EmailBackend",
    "guardian.backends.ObjectPermissionBackend",
]
# Guardian's anonymous user would be a row that nobody owns.
ANONYMOUS_USER_NAME = None
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "tenants.identity.breached.NotBreached"},
]
# Have I Been Pwned's list of SHA-1 hashes, in their order; searched where it lies, never over the network.
BREACHED_PASSWORDS_FILE = env.text("BREACHED_PASSWORDS_FILE", default="")

ACCOUNT_ADAPTER = "tenants.identity.accounts.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "tenants.identity.forms.SignInForm",
    "signup": "tenants.identity.forms.SignUpForm",
    "add_email": "tenants.identity.forms.ChangeAddressForm",
}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "tenants.identity.tokens.ResetTokens"  # noqa: S105 - a class
ACCOUNT_USER_DISPLAY = "tenants.identity.accounts.display_name"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = "Loomworks: "
ACCOUNT_REAUTHENTICATION_METHODS = ["password", "mfa"]
ACCOUNT_REAUTHENTICATION_TIMEOUT = 600
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_REDIRECT_URL = "/accounts/sign-in"
# By address alone nobody is stopped, or anybody could lock anybody out: passwords are `lock_out`'s affair,
# and the limit by key holds for codes, which only who knows the password may enter.
ACCOUNT_RATE_LIMITS = {"login": "60/m/ip", "login_failed": "5/300s/key"}
MFA_ADAPTER = "tenants.identity.factors.FactorAdapter"
MFA_FORMS = {"activate_totp": "tenants.identity.forms.ActivateTotpForm"}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
# Nobody is in before their address is verified; who changes it later keeps their factors meanwhile.
MFA_ALLOW_UNVERIFIED_EMAIL = True
# One step before and after the present one, for clocks that differ.
MFA_TOTP_TOLERANCE = 1
AXES_HANDLER = "tenants.identity.lock_out.LockOut"
AXES_LOCKOUT_CALLABLE = "tenants.identity.lock_out.answer"
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False
# Without a mail server, e-mails are printed on the web process's and the worker's output.
EMAIL_HOST = env.text("EMAIL_HOST", default="")
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'console'}.EmailBackend"
EMAIL_PORT = env.whole_number("EMAIL_PORT", default=587)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER", default="")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD", default="")
EMAIL_USE_TLS = env.boolean("EMAIL_USE_TLS", default=True)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.text("EMAIL_FROM", default="Loomworks <loomworks@localhost>")

# What may be asked of addresses that tenants name: webhooks, identity providers.
EGRESS_ALLOWED_NETWORKS = env.networks("EGRESS_ALLOWED_NETWORKS")
EGRESS_ALLOWED_PORTS = env.whole_numbers("EGRESS_ALLOWED_PORTS", default=[443, 8443])
EGRESS_ALLOW_PLAIN_HTTP = env.boolean("EGRESS_ALLOW_PLAIN_HTTP", default=False)
EGRESS_CA_FILE = env.text("EGRESS_CA_FILE", default="")

# Who is asked for the records that prove domains; empty: the system's own resolver.
DNS_RESOLVER = env.text("DNS_RESOLVER", default="")

LOGIN_URL = "/accounts/sign-in"
LOGIN_REDIRECT_URL = "/"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_URL.startswith("https://")
# A browser takes a cookie of such a name only from this very host, over https.
_COOKIES = "__Host-lw" if SESSION_COOKIE_SECURE else "lw"
SESSION_COOKIE_NAME = f"{_COOKIES}_session"
CSRF_COOKIE_NAME = f"{_COOKIES}_csrf"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "config.pages.csrf_failed"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["tenants.access.authentication.PrincipalAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["tenants.access.gate.NamedPermission"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["kernel.api.parsers.StrictJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "kernel.api.negotiation.OneRepresentation",
    "DEFAULT_SCHEMA_CLASS": "kernel.api.schema.EndpointSchema",
    "EXCEPTION_HANDLER": "kernel.api.errors.handle",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Loomworks",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": r"/(api/)?v1",
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "ENUM_NAME_OVERRIDES": {
        "GuardrailAction": "inference.gateway.policy.document.ACTIONS",
        "PersonalDataKind": "inference.gateway.policy.pii.KINDS",
        "PromptAttackAction": "inference.gateway.policy.document.ATTACK_ACTIONS",
        "DomainStatus": "tenants.administration.api.domains.STATUSES",
        "IdentityProviderKind": "tenants.administration.api.identity_providers.KINDS",
        "DefaultRole": "tenants.identity.models.DEFAULT_ROLES",
        "LimitKind": "tenants.administration.api.limits.KINDS",
        "LimitScope": "tenants.administration.api.limits.SCOPES",
        "Role": "tenants.access.api.ROLES",
        "ProjectRole": "tenants.access.project_roles.PROJECT_ROLES",
        "GrantAction": "tenants.administration.api.grants.ACTIONS",
        "Permission": "tenants.access.api.PERMISSIONS",
        "OrganizationState": "tenants.access.api.STATES",
        "FileStatus": "tenants.datasets.api.shapes.FILE_STATUSES",
        "LegalBasis": "tenants.datasets.models.LegalBasis",
        "ExportState": "tenants.compliance.models.ExportState",
        "ErasureState": "tenants.compliance.models.ErasureState",
        "HeldSubject": "tenants.organizations.models.HeldSubject",
        "ControlStatus": "tenants.compliance.api.evidence.STATUSES",
        "ValidationState": "tenants.datasets.api.shapes.VALIDATION_STATES",
        "FileFormat": "tenants.datasets.api.shapes.FORMATS",
        "RowRole": "tenants.datasets.api.shapes.ROW_ROLES",
        "JobState": "training.jobs.models.JobState",
        "MethodType": ["supervised"],
        "EventLevel": "training.jobs.api.shapes.EVENT_LEVELS",
        "EventType": "training.jobs.api.shapes.EVENT_TYPES",
        "DeploymentState": "inference.deployments.models.DeploymentState",
        "MessageRole": "inference.chat.models.Message.ROLES",
        "DeliveryState": "tenants.administration.api.webhooks.DELIVERY_STATES",
        "WebhookDisabledBecause": "tenants.administration.api.webhooks.DISABLED_BECAUSE",
        "OwnKeyProvider": "tenants.administration.api.encryption_key.PROVIDERS",
        "ReEncryptionState": "kernel.crypto.models.ReEncryptionState",
        "MessageState": "inference.chat.models.MessageState",
        "BatchState": "inference.batches.models.BatchState",
    },
}

CELERY_BROKER_URL = VALKEY_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": "lw:celery:", "socket_connect_timeout": 5}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LANGUAGE_COOKIE_NAME = "lw_language"
LANGUAGE_COOKIE_SECURE = SESSION_COOKIE_SECURE
LANGUAGE_COOKIE_SAMESITE = "Lax"
LOCALE_PATHS = [Path(__file__).parent / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
CONSOLE_BUILD = ROOT / "frontend" / "dist"
STATICFILES_DIRS = [CONSOLE_BUILD] if CONSOLE_BUILD.is_dir() else []
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
# Vite puts a hash of the content into the name of what it builds.
WHITENOISE_IMMUTABLE_FILE_TEST = r"^/static/assets/.+-[A-Za-z0-9_-]{8,}\.\w+$"
DJANGO_VITE = {"default": {"dev_mode": False, "manifest_path": CONSOLE_BUILD / "manifest.json"}}

# How long an organization that its owner closes can still be kept.
CLOSING_GRACE_DAYS = env.whole_number("CLOSING_GRACE_DAYS", default=14)
# How long an export can be downloaded.
EXPORT_KEPT_DAYS = env.whole_number("EXPORT_KEPT_DAYS", default=7)
MAX_FILE_BYTES = 512 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024
# Uploads wait outside the web root and outside the world's reach until they are encrypted.
FILE_UPLOAD_TEMP_DIR = SCRATCH_DIR
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]

X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'", NONCE],
        "style-src": ["'self'", NONCE],
        "font-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "manifest-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

LOGGING_CONFIG = None
logs.configure(level=env.text("LOG_LEVEL", default="INFO"))
SENTRY_DSN = env.text("SENTRY_DSN", default="")
if SENTRY_DSN:
    crashes.report_to(SENTRY_DSN, release=VERSION)
