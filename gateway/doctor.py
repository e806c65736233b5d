"""What is wrong here, and what to do about it."""

import os
from dataclasses import dataclass
from ipaddress import ip_network

from db import migrate
from db.engine import Database
from db.errors import DatabaseError
from gateway import tracing
from gateway.explorer import BUILT
from gateway.keys import PublishedKeys
from gateway.settings import Settings

SUPPORTED = range(15, 19)


@dataclass(frozen=True)
class Symptom:
    """One thing that was looked at. The sentence says what was found, and what to do where it is not well."""

    well: bool
    sentence: str


async def examine(database: Database, settings: Settings) -> list[Symptom]:
    """Everything that was looked at, in the order of what depends on what."""
    return [
        *await _tokens(settings),
        _explorer(),
        _proxies(os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1")),
        _provider(settings),
        _metrics(settings),
        _spans(),
        *await _database(database),
    ]


async def _tokens(settings: Settings) -> list[Symptom]:
    symptoms = []
    if settings.jwt_secret:
        symptoms.append(Symptom(True, "Tokens are read with JWT_SECRET."))
    elif not settings.database_url:
        symptoms.append(Symptom(True, "Tokens are read with a secret of the data folder's own."))
    if settings.jwt_jwks_url:
        keys = PublishedKeys(settings.jwt_jwks_url)
        await keys.renew()
        symptoms.append(
            Symptom(
                False, f"The keys of JWT_JWKS_URL cannot be had: {keys.trouble}. Open {keys.url} from this machine."
            )
            if keys.trouble
            else Symptom(True, "Tokens are read with the keys of JWT_JWKS_URL, which are there.")
        )
    return symptoms or [
        Symptom(
            False,
            "No tokens can be read: set JWT_SECRET to the secret that your application signs with,"
            " or JWT_JWKS_URL to where its public keys are.",
        )
    ]


def _explorer() -> Symptom:
    if (BUILT / "index.html").exists():
        return Symptom(True, "The explorer is built.")
    return Symptom(False, "The explorer is not built: run `make explorer`.")


def _proxies(trusted: str) -> Symptom:
    odd = [each.strip() for each in trusted.split(",") if not _is_network(each.strip())]
    if trusted == "*":
        return Symptom(
            False,
            "FORWARDED_ALLOW_IPS is *: anybody can choose the address that his points are counted by."
            " Set it to the addresses of your proxies.",
        )
    if odd:
        return Symptom(False, f"FORWARDED_ALLOW_IPS names what is no address and no network: {', '.join(odd)}.")
    return Symptom(True, f"The address of a client is believed from {trusted} only.")


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _provider(settings: Settings) -> Symptom:
    if settings.chosen_provider == "local":
        return Symptom(True, "The AI provider is `local`: it quotes documents. Set OPENAI_API_KEY for one that writes.")
    if settings.openai_api_key is None:
        return Symptom(False, "The AI provider is `openai`, and there is no key: set OPENAI_API_KEY.")
    where = settings.openai_base_url or "OpenAI"
    return Symptom(True, f"The AI provider is `openai`, at {where}, for things named {settings.provider_instance}.")


def _metrics(settings: Settings) -> Symptom:
    if settings.metrics_token:
        return Symptom(True, "Metrics are shown to those who have METRICS_TOKEN.")
    if settings.development:
        return Symptom(True, "Metrics are shown to everybody, which DEVELOPMENT allows.")
    return Symptom(True, "Metrics are shown to nobody: set METRICS_TOKEN where Prometheus is to read them.")


def _spans() -> Symptom:
    if not tracing.wanted():
        return Symptom(True, "Spans go nowhere: set OTEL_EXPORTER_OTLP_ENDPOINT where they are to be collected.")
    protocols = {os.environ.get(name, tracing.PROTOCOL) for name in tracing.PROTOCOLS}
    if protocols != {tracing.PROTOCOL}:
        return Symptom(False, f"Spans go over OTLP as {tracing.PROTOCOL} only: set {tracing.PROTOCOLS[1]} to that.")
    return Symptom(True, "Spans go where OpenTelemetry's variables say.")


COMPILED = """The database compiles statements (jit), which costs more than it saves on ours, and the pooler does not
let us say so: run `ALTER ROLE <role of DATABASE_URL> SET jit = off`.""".replace("\n", " ")


WORDS_ONLY = "pgvector is not there: the provider `local` finds words, and no other spellings of them."


async def _database(database: Database) -> list[Symptom]:
    try:
        rows = await database.fetch(
            "SELECT current_setting('server_version_num')::int / 10000,"
            " EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector'), current_setting('jit')",
            (),
        )
    except DatabaseError as error:
        return [Symptom(False, f"{error.__doc__} ({error.__cause__})")]
    version, has_vector, jit = rows[0]
    revisions = migrate.revisions()
    current = await migrate.current(database)
    done = revisions.index(current) + 1 if current in revisions else len(revisions)  # an unknown one is newer than us
    pending = len(revisions) - (done if current else 0)
    return [
        Symptom(version in SUPPORTED, f"The database is PostgreSQL {version}; 15 to 18 are supported."),
        *([Symptom(False, COMPILED)] if jit == "on" else []),
        Symptom(True, "pgvector is there." if has_vector else WORDS_ONLY),
        Symptom(
            not pending,
            f"{pending} revisions are pending: run `clonegraph db upgrade`."
            if pending
            else "The database has the newest shape.",
        ),
    ]
