"""Which media type an answer has, and which status: GraphQL over HTTP, edition of September 2026."""

from dataclasses import dataclass
from functools import lru_cache

from gateway.errors import Code, RequestError

RESPONSE_TYPE = "application/graphql-response+json"
JSON_TYPE = "application/json"
PARTIAL_SUCCESS = 294
"""Data, with errors beside it."""


@dataclass(frozen=True)
class Dialect:
    """How a client wants to be answered.

    legacy: it knows only application/json, and so cannot tell our 4xx from that of something in between.
    keeps_200: such a client gets 200 for whatever comes of a well-formed request.
    """

    legacy: bool
    keeps_200: bool = False

    def answer(self, status: int, *, well_formed: bool = True) -> tuple[int, str]:
        """The status and the media type of an answer that has this status to a modern client."""
        if not self.legacy:
            return status, RESPONSE_TYPE
        if status == PARTIAL_SUCCESS or (self.keeps_200 and well_formed):
            status = 200
        return status, JSON_TYPE if status < 300 else RESPONSE_TYPE  # noqa: PLR2004 (2xx)


MODERN = Dialect(legacy=False)


@lru_cache(maxsize=1000)
def negotiate(accept: str | None, *, keeps_200: bool) -> Dialect:
    """What an Accept header asks for. Raises RequestError with 406.

    A client that knows the modern type must name it, says the edition. So whoever takes anything is a legacy client.
    """
    legacy = Dialect(legacy=True, keeps_200=keeps_200)
    if accept is None or not accept.strip():
        return legacy
    modern, json = quality(accept, RESPONSE_TYPE), quality(accept, JSON_TYPE)
    if max(modern, json) <= 0:
        raise RequestError(406, Code.NOT_ACCEPTABLE, f"Accept {RESPONSE_TYPE} or {JSON_TYPE}.")
    return MODERN if modern > json or (modern == json and RESPONSE_TYPE in accept.lower()) else legacy


def quality(accept: str, media_type: str) -> float:
    """How much an Accept header wants a media type, from 0 to 1: the closest of its ranges decides (RFC 9110)."""
    kind = media_type.partition("/")[0]
    found = (-1, 0.0)
    for each in accept.split(","):
        name, *parameters = (part.strip().lower() for part in each.split(";"))
        closeness = (name == "*/*") + 2 * (name == f"{kind}/*") + 3 * (name == media_type)
        if closeness:
            found = max(found, (closeness, _weight(parameters)))
    return found[1]


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0
    return 1
