"""What an operator can set, by environment variables. Everything is checked at the start, all mistakes at once."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

SHORTEST_SECRET = 32


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


DatabaseUrl = Annotated[str, AfterValidator(_postgresql)]


class Settings(BaseSettings):
    """The settings of a gateway. Each is the environment variable of its name in capitals."""

    model_config = SettingsConfigDict(env_ignore_empty=True)

    database_url: DatabaseUrl | None = Field(
        None, description="The PostgreSQL database, 15 to 18. Without it, an embedded PostgreSQL is started."
    )
    database_read_url: DatabaseUrl | None = Field(None, description="A replica to read from.")
    database_pool_size: int = Field(10, ge=1, le=500, description="Connections to the database, at most.")
    database_statement_timeout: float = Field(30, gt=0, description="How long a statement may take, in seconds.")
    data_dir: Path = Field(
        Path(".clonegraph"), description="Where the embedded PostgreSQL and the secret of the demo are kept."
    )
    jwt_secret: Annotated[SecretStr, AfterValidator(_long_enough)] | None = Field(
        None, description="The secret that tokens are signed with (HS256). An embedded database brings its own."
    )
    jwt_audience: str | None = Field(None, description="The audience that a token must name, if any.")
    jwt_issuer: str | None = Field(None, description="The issuer that a token must name, if any.")

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
