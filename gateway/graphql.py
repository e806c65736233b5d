"""The GraphQL endpoint: one request in, one operation executed, one answer out."""

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

import orjson
from cachetools import LRUCache
from graphql import DocumentNode, ExecutionResult, GraphQLError, GraphQLSyntaxError, execute, parse, validate
from starlette.requests import Request
from starlette.responses import Response

from db.engine import Database
from gateway.auth import Authenticator
from gateway.errors import Code, DocumentError, RequestError, formatted, request_errors
from resolvers.context import Context
from schema.graph import core_schema

RESPONSE_TYPE = "application/graphql-response+json"
JSON_TYPE = "application/json"
LARGEST_BODY = 1_000_000
KEPT_DOCUMENTS = 1000


@dataclass(frozen=True)
class GraphQLRequest:
    """The parameters of a GraphQL request."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None

    @classmethod
    def read(cls, given: Any) -> "GraphQLRequest":
        """The request in a decoded body. Raises RequestError when it is none."""
        if not isinstance(given, dict):
            raise _malformed('The body must be a JSON object like {"query": "{ viewer { fullName } }"}.')
        query, variables, name = given.get("query"), given.get("variables"), given.get("operationName")
        if not isinstance(query, str):
            raise _malformed("query must be a string with a GraphQL document.")
        if variables is not None and not isinstance(variables, dict):
            raise _malformed("variables must be an object.")
        if name is not None and not isinstance(name, str):
            raise _malformed("operationName must be a string.")
        return cls(query, variables, name)


class GraphQLEndpoint:
    """Answers `POST /graphql`, and `GET /graphql` for queries."""

    def __init__(self, database: Database, authenticator: Authenticator) -> None:
        self.database = database
        self.authenticator = authenticator
        self._documents: LRUCache[str, DocumentNode] = LRUCache(maxsize=KEPT_DOCUMENTS)

    async def __call__(self, request: Request) -> Response:
        """The answer to a request, whatever happens."""
        try:
            wanted = GraphQLRequest.read(await _parameters(request))
            document = self._document(wanted.query)
            viewer = await self.authenticator.viewer(request.headers.get("authorization"))
            result = await self._execute(document, wanted, Context(self.database, viewer))
        except RequestError as error:
            return _respond(request, error.status, {"errors": request_errors(error)}, error.headers)
        except Exception as error:  # noqa: BLE001 (what nobody foresaw must not reach a client as it is)
            entry = formatted(GraphQLError(str(error), original_error=error))
            return _respond(request, 503 if entry["extensions"]["retryable"] else 500, {"errors": [entry]})
        if not result.errors:
            return _respond(request, 200, {"data": result.data})
        errors = [formatted(error) for error in result.errors]
        if result.data is None and not any(error.path for error in result.errors):
            return _respond(request, 422, {"errors": errors})
        return _respond(request, 200, {"data": result.data, "errors": errors})

    def _document(self, query: str) -> DocumentNode:
        """The document, parsed and validated; kept, since clients send the same ones again and again."""
        document = self._documents.get(query)
        if document is None:
            try:
                document = parse(query)
            except GraphQLSyntaxError as error:
                raise DocumentError(400, Code.PARSE_FAILED, [error]) from None
            if errors := validate(core_schema, document):
                raise DocumentError(422, Code.VALIDATION_FAILED, errors)
            self._documents[query] = document
        return document

    async def _execute(self, document: DocumentNode, wanted: GraphQLRequest, context: Context) -> ExecutionResult:
        result = execute(
            core_schema,
            document,
            context_value=context,
            variable_values=wanted.variables,
            operation_name=wanted.operation_name,
        )
        return await result if isawaitable(result) else result


async def _parameters(request: Request) -> Any:
    """What the client sent, decoded."""
    if request.method == "GET":
        given: dict[str, Any] = dict(request.query_params)
        if given.get("variables"):
            given["variables"] = _decoded(given["variables"], "variables")
        return {key: value or None for key, value in given.items()}
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != JSON_TYPE:
        raise RequestError(415, Code.BAD_REQUEST, f"Send the request as {JSON_TYPE}.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise RequestError(413, Code.BAD_REQUEST, f"A request may have {LARGEST_BODY} bytes at most.")
    return _decoded(bytes(body), "The body")


def _decoded(text: str | bytes, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, Code.BAD_REQUEST, f"{what} must be JSON: {error}.") from None


def _malformed(message: str) -> RequestError:
    return RequestError(422, Code.BAD_REQUEST, message)


def _respond(
    request: Request, status: int, answer: dict[str, Any], headers: Mapping[str, str] | None = None
) -> Response:
    """An answer in the media type that the client knows."""
    modern = RESPONSE_TYPE in request.headers.get("accept", "")
    media_type = RESPONSE_TYPE if modern else JSON_TYPE
    return Response(orjson.dumps(answer), status, headers, f"{media_type}; charset=utf-8")
