"""What an operator can set, by environment variables. Everything is checked at the start, all mistakes at once."""

from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from jwt.algorithms import requires_cryptography
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from resolvers.link import Links
from resolvers.provisioning.providers import PROVIDERS, ProviderOptions
from resolvers.terms import Terms

SHORTEST_SECRET = 32
AUTO = "auto"
LogLevel = Literal["debug", "info", "warning", "error"]


class SettingsError(Exception):
    """Some settings cannot be used. The message lists all of them."""


def _postgresql(url: str) -> str:
    if urlsplit(url).scheme not in ("postgresql", "postgres"):
        raise ValueError("it must begin with postgresql://")
    return url


def _long_enough(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < SHORTEST_SECRET:
        raise ValueError(f"it must have at least {SHORTEST_SECRET} characters")
    return secret


def _redis(url: str) -> str:
    if urlsplit(url).scheme not in ("redis", "rediss", "unix"):
        raise ValueError("it must begin with redis://, rediss:// or unix://")
    return url


def _storage(url: str) -> str:
    scheme, _, rest = url.partition("://")
    if scheme not in ("file", "s3") or not rest or (scheme == "file" and not rest.startswith("/")):
        raise ValueError("it must be like file:///path or s3://bucket/path")
    return url


def _web(url: str) -> str:
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError("it must begin with https:// (or http://)")
    return url


def _origin(url: str) -> str:
    return _web(url).rstrip("/")


def _provider(name: str) -> str:
    if name != AUTO and name not in PROVIDERS:
        raise ValueError(f"it must be one of {', '.join((AUTO, *PROVIDERS))}")
    return name


def _public(algorithm: str) -> str:
    if algorithm not in requires_cryptography:
        raise ValueError(f"{algorithm} is none for public keys, which are {', '.join(sorted(requires_cryptography))}")
    return algorithm


def _words(text: Any) -> Any:
    """A list as people write it in an environment variable: with commas or spaces."""
    return text.replace(",", " ").split() if isinstance(text, str) else text


Price = Annotated[Decimal, Field(ge=0, le=1_000_000)]
DatabaseUrl = Annotated[str, AfterValidator(_postgresql)]
RedisUrl = Annotated[str, AfterValidator(_redis)]
StorageUrl = Annotated[str, AfterValidator(_storage)]
WebUrl = Annotated[str, AfterValidator(_web)]
Secret = Annotated[SecretStr, AfterValidator(_long_enough)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_words)]
ProviderName = Annotated[str, AfterValidator(_provider)]
Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
Algorithms = Annotated[tuple[Annotated[str, AfterValidator(_public)], ...], NoDecode, BeforeValidator(_words)]


class Documents(StrEnum):
    """Which documents are executed."""

    ANY = "any"
    TRUSTED = "trusted"


class Settings(BaseSettings):
    """The settings of a gateway. Each is the environment variable of its name in capitals."""

    model_config = SettingsConfigDict(env_ignore_empty=True)

    database_url: DatabaseUrl | None = Field(
        None, description="The PostgreSQL database, 15 to 18. Without it, an embedded PostgreSQL is started."
    )
    database_read_url: DatabaseUrl | None = Field(None, description="A replica to read from.")
    database_pool_size: int = Field(
        10,
        ge=1,
        le=500,
        description="Connections to read with, at most, of each worker process, and as many to write with.",
    )
    database_statement_timeout: float = Field(
        30,
        gt=0,
        description="How long a statement may take, and a transaction may wait for its next one, in seconds.",
    )
    database_pooler: bool = Field(
        False,
        description="Whether DATABASE_URL leads to a pooler in transaction mode (PgBouncer, Supavisor): "
        "statements are not prepared, and no connection listens.",
    )
    redis_url: RedisUrl | None = Field(
        None,
        description="A Redis or Valkey that several nodes share, for points, persisted documents and events. "
        "One node needs none.",
    )
    data_dir: Path = Field(
        Path(".clonegraph"), description="Where the embedded PostgreSQL, the secret of the demo and uploads are kept."
    )
    storage_url: StorageUrl | None = Field(
        None,
        description="Where uploaded files are kept: file:///path or s3://bucket/path. A folder of DATA_DIR unless set.",
    )
    files_secret: Secret | None = Field(
        None,
        description="The secret that addresses of downloads are signed with, where files are in a folder. Made of "
        "JWT_SECRET unless set; without either, each process knows only its own.",
    )
    link_hosts: Hosts = Field(
        (),
        description="Hosts that links of creators may lead to, with commas: `example.com`. Every public one unless "
        "set. An origin, like http://wiki.local:8080, may be private, and need not be encrypted.",
    )
    link_timeout: float = Field(20, gt=0, description="How long fetching a link may take, in seconds.")

    provider: ProviderName = Field(
        AUTO,
        description="The AI provider: `openai`, or `local`, which needs no key: it finds passages in this database and "
        "quotes them. `auto` is `openai` where there is a key.",
    )
    openai_api_key: SecretStr | None = Field(None, description="The key of the provider `openai`.")
    openai_base_url: WebUrl | None = Field(
        None, description="Where a server is that speaks OpenAI's API, if it is not OpenAI's own."
    )
    openai_model: str | None = Field(None, description="The model that answers, unless an assistant says otherwise.")
    provider_timeout: float = Field(60, gt=0, description="How long one request to the provider may take, in seconds.")
    provider_instance: str = Field(
        "clonegraph",
        pattern=r"^[a-z0-9-]{1,32}$",
        description="What tells this gateway's things at the provider from those of another one on the same account.",
    )

    jwt_secret: Secret | None = Field(
        None, description="The secret that tokens are signed with (HS256). An embedded database brings its own."
    )
    jwt_jwks_url: WebUrl | None = Field(
        None, description="Where the public keys of tokens are (JWKS). They are fetched again when they rotate."
    )
    jwt_algorithms: Algorithms = Field(
        ("RS256", "ES256", "EdDSA"), description="The algorithms allowed for keys of JWT_JWKS_URL."
    )
    jwt_audience: str | None = Field(
        None, description="The audience that a token must name. Unless set, tokens that name one are refused."
    )
    jwt_issuer: str | None = Field(None, description="The issuer that a token must name. Unless set, any will do.")

    worker: bool = Field(
        True, description="Whether `serve` also does what happens by itself: charges and ends silent sessions."
    )
    operation_lease: float = Field(
        30,
        ge=1,
        le=3600,
        description="How long an operation belongs to a worker that shows no sign of life, in seconds. Then another "
        "one goes on with it.",
    )
    input_token_price: Price = Field(
        Decimal(0), description="What 1,000 tokens that a model is given cost, in credits."
    )
    output_token_price: Price = Field(Decimal(0), description="What 1,000 tokens that a model writes cost, in credits.")
    platform_share: Decimal = Field(
        Decimal(0), ge=0, le=1, description="The part of what people pay that creators do not get, from 0 to 1."
    )
    metering_interval: float = Field(
        60,
        ge=1,
        le=3600,
        description="How often the time of a session is charged in which nothing happens, in seconds.",
    )
    session_grace: float = Field(
        300, ge=0, description="How long such a session is charged after its last message, in seconds."
    )
    abandoned_after: float = Field(1_800, ge=1, description="When such a session is ended, in seconds.")
    pause_limit: float = Field(86_400, ge=1, description="When a paused session is ended, in seconds.")
    demo_sessions: int = Field(3, ge=0, description="How many free demonstrations a person has.")
    demo_length: float = Field(300, gt=0, description="How long a free demonstration is, in seconds.")

    max_tokens: int = Field(2_000, ge=1, description="Lexical tokens that a document may have.")
    max_depth: int = Field(12, ge=1, description="How deep fields may be nested.")
    max_aliases: int = Field(
        50, ge=0, description="Aliases that an operation may have, fragments counted as often as they are used."
    )
    max_cost: int = Field(
        5_000, ge=1, description="What an operation may cost: about the number of objects that it can return."
    )
    max_body_bytes: int = Field(1_000_000, ge=1_000, description="How large a request may be, uploads apart.")
    max_upload_bytes: int = Field(100_000_000, ge=1_000, description="How large a request with files may be.")
    max_response_bytes: int = Field(20_000_000, ge=1_000, description="How large an answer may be.")
    body_timeout: float = Field(10, gt=0, description="How long a client may take to send a request, in seconds.")
    operation_timeout: float = Field(30, gt=0, description="How long an operation may take, in seconds.")
    plan_after: int = Field(
        2,
        ge=1,
        description="At which sight of an operation a plan for it is made, which it is executed by from then on.",
    )
    points_capacity: int = Field(
        100_000,
        ge=1,
        description="Points that a person, service or anonymous address can save up. An operation takes its cost.",
    )
    points_per_second: float = Field(1_000, gt=0, description="Points that come back each second.")
    max_sockets: int = Field(
        5_000, ge=0, description="WebSockets and event streams open at a time, of each worker process."
    )
    max_sockets_per_viewer: int = Field(
        1_000, ge=0, description="The same for one person, service or anonymous address."
    )
    max_operations_per_socket: int = Field(100, ge=1, description="Operations running at a time on one WebSocket.")
    events_window: int = Field(
        600, ge=10, description="How long a subscriber may be away and miss nothing, in seconds."
    )

    documents: Documents = Field(
        Documents.ANY,
        description="`any`, or `trusted`: only documents that `clonegraph documents push` has brought.",
    )
    introspection: bool = Field(True, description="Whether clients may ask for the schema.")
    legacy_status: bool = Field(
        True,
        description="Whether clients that do not know application/graphql-response+json get status 200 for every "
        "well-formed request. Many of them take any other status for a failure of the network.",
    )
    cors_origins: Origins = Field(
        (),
        description="Origins of web pages that may call the gateway, like https://app.example.com, with commas.",
    )
    explorer: bool = Field(True, description="Whether the explorer is served.")
    development: bool = Field(
        False, description="Whether an answer may tell its plan: the statements it took. Not for the internet."
    )
    metrics_token: Secret | None = Field(
        None, description="The bearer token for /metrics. Without it, only DEVELOPMENT shows metrics."
    )
    log_level: LogLevel = Field("info", description="debug, info, warning or error.")
    drain_seconds: float = Field(
        20, ge=0, description="How long a stopping node lets operations that run come to their end."
    )

    @property
    def chosen_provider(self) -> str:
        """The name of the provider."""
        if self.provider != AUTO:
            return self.provider
        return "openai" if self.openai_api_key else "local"

    @property
    def provider_options(self) -> ProviderOptions:
        """What the provider is made with."""
        return ProviderOptions(
            key=self.openai_api_key.get_secret_value() if self.openai_api_key else None,
            base_url=self.openai_base_url,
            model=self.openai_model,
            timeout=self.provider_timeout,
        )

    @property
    def links(self) -> Links:
        """Where links of creators may lead."""
        return Links(self.link_hosts, self.max_upload_bytes, self.link_timeout)

    @property
    def storage_place(self) -> str:
        """The URL of the folder or bucket where files are kept."""
        return self.storage_url or (self.data_dir.resolve() / "storage").as_uri()

    @property
    def terms(self) -> Terms:
        """On what terms people talk."""
        return Terms(
            input_token_price=self.input_token_price,
            output_token_price=self.output_token_price,
            platform_share=self.platform_share,
            metering_interval=timedelta(seconds=self.metering_interval),
            session_grace=timedelta(seconds=self.session_grace),
            abandoned_after=timedelta(seconds=self.abandoned_after),
            pause_limit=timedelta(seconds=self.pause_limit),
            demo_sessions=self.demo_sessions,
            demo_length=timedelta(seconds=self.demo_length),
        )

    @classmethod
    def read(cls, **given: Any) -> "Settings":
        """The settings of the environment, and these. Raises SettingsError."""
        try:
            return cls(**given)
        except ValidationError as error:
            mistakes = [
                f"  {'.'.join(map(str, each['loc'])).upper()}: {each['msg'].removeprefix('Value error, ')}"
                for each in error.errors()
            ]
            raise SettingsError("\n".join(["These settings cannot be used:", *mistakes])) from None


def reference() -> str:
    """All settings as a page of Markdown, from what this class says of them."""
    lines = [
        "# Settings",
        "",
        "Every setting is an environment variable. All are checked at the start, and all mistakes are listed at once.",
        "This page is printed by `clonegraph settings`.",
        "",
        "| variable | default | what it is |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        lines.append(f"| `{name.upper()}` | {_shown(field.default)} | {field.description} |")
    return "\n".join([*lines, "", FOREIGN, ""])


FOREIGN = """Four more are read by the libraries that they belong to: `FORWARDED_ALLOW_IPS` (uvicorn: the proxies whose
`X-Forwarded-For` is believed), `OTEL_EXPORTER_OTLP_ENDPOINT` and its relatives (OpenTelemetry: where traces go),
`AWS_ACCESS_KEY_ID` and its relatives (obstore: who may use the bucket of `STORAGE_URL`), and
`PROMETHEUS_MULTIPROC_DIR` (where several workers keep their metrics; a folder of its own is made unless set)."""


def _shown(default: Any) -> str:
    if default is None or default == ():
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{' '.join(default) if isinstance(default, tuple) else default}`"
