"""Every request that the provider sends is one that OpenAI takes: by its published OpenAPI document, where that is at
hand (../shared/openai/openapi.json, or where OPENAI_OPENAPI says), and always by the types of its SDK.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import parse_qsl

import pytest
from jsonschema import Draft202012Validator, ValidationError
from openai.types import (
    FileListParams,
    FilePurpose,
    VectorStoreCreateParams,
    VectorStoreListParams,
    VectorStoreSearchParams,
)
from openai.types.responses import FileSearchToolParam, response_retrieve_params
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from openai.types.vector_stores import FileBatchCreateParams
from openai.types.vector_stores import FileCreateParams as MemberCreateParams
from openai.types.vector_stores import FileListParams as MemberListParams
from pydantic import ConfigDict, TypeAdapter
from pydantic import ValidationError as TypeMismatch
from typing_extensions import TypedDict

from resolvers.provisioning.provider import Provider, ProviderRefused, Question, Turn
from tests.provider_fake import FakeProvider, Status
from tests.test_openai import CATS, everything, text, use

DOCUMENT: Final = Path(os.environ.get("OPENAI_OPENAPI", Path(__file__).parents[2] / "shared/openai/openapi.json"))


class Nothing(TypedDict):
    """The parameters of a request that has none."""


class FileForm(TypedDict):
    """The form of a file, whose content no type describes."""

    file: str
    purpose: FilePurpose


class Sent(NamedTuple):
    """A request. body: of a form, its fields. path: as the document has it."""

    method: str
    path: str
    body: Any
    query: dict[str, str]


Check: TypeAlias = Callable[[Sent], None]
TYPES: Final[Mapping[tuple[str, str], Any]] = {
    ("POST", "/files"): FileForm,
    ("GET", "/files"): FileListParams,
    ("DELETE", "/files/{file_id}"): Nothing,
    ("POST", "/vector_stores"): VectorStoreCreateParams,
    ("GET", "/vector_stores"): VectorStoreListParams,
    ("GET", "/vector_stores/{vector_store_id}"): Nothing,
    ("DELETE", "/vector_stores/{vector_store_id}"): Nothing,
    ("POST", "/vector_stores/{vector_store_id}/file_batches"): FileBatchCreateParams,
    ("POST", "/vector_stores/{vector_store_id}/files"): MemberCreateParams,
    ("GET", "/vector_stores/{vector_store_id}/files"): MemberListParams,
    ("DELETE", "/vector_stores/{vector_store_id}/files/{file_id}"): Nothing,
    ("POST", "/vector_stores/{vector_store_id}/search"): VectorStoreSearchParams,
    ("POST", "/responses"): ResponseCreateParamsStreaming,
    ("GET", "/responses/{response_id}"): response_retrieve_params.ResponseRetrieveParamsBase,
}
"""What the SDK says of each request: of its body, or else of its query."""


async def _all_acts(provider: Provider) -> None:
    file_id = await provider.put_file("cats.md", text(CATS))
    other_id = await provider.put_file("more.md", text("More."))
    store_id = await provider.make_store("Animals", {"instance": "here", "owner": "clone:1"})
    await provider.attach(store_id, [file_id])
    await provider.status(store_id)
    await provider.search([store_id], "cats", 100)
    with pytest.raises(ProviderRefused):
        await provider.search([store_id], "cats", 5)
    questions = [
        Question("Why?", None, ""),
        Question(
            "Why do cats purr?",
            "gpt-6-sol",
            "You are kind.",
            [Turn("Hello", is_question=True), Turn("Hi!", is_question=False)],
            [store_id],
            0.7,
            10,
            {"session": "1"},
        ),
    ]
    for question in questions:
        answer = (await everything(provider.answer(question)))[-1]
        await provider.recall(answer.response_id)  # type: ignore[union-attr]
    await provider.attach(store_id, [other_id])
    _ = [each async for each in provider.files()], [each async for each in provider.stores()]
    await provider.detach(store_id, file_id)
    await provider.delete_store(store_id)
    await provider.delete_file(file_id)


@pytest.fixture(scope="module")
def sent() -> list[Sent]:
    """All requests of all methods of the provider, with all that they can hold."""
    fake = FakeProvider()
    with fake.running():
        fake.fail("POST /v1/vector_stores/*/file_batches", Status(404), skip=1)
        fake.fail("POST /v1/vector_stores/*/search", Status(404), skip=1)
        for number in range(120):
            fake.put_file(f"{number}.txt", 1, "", b"a")
            fake.make_store({"name": str(number)})
        use(fake, _all_acts)
    return [
        Sent(call.method, _template(call.method, call.path), _plain(call.body), dict(parse_qsl(call.query)))
        for call in fake.calls
    ]


@cache
def document() -> Any:
    """OpenAI's OpenAPI document."""
    if not DOCUMENT.exists():
        pytest.skip(f"OpenAI's OpenAPI document is not at {DOCUMENT}; say where it is with OPENAI_OPENAPI")
    return json.loads(DOCUMENT.read_bytes())


def by_document(sent: Sent) -> None:
    """Raise ValidationError if OpenAI's OpenAPI document does not know this request."""
    if sent.path not in document()["paths"] or sent.method.lower() not in document()["paths"][sent.path]:
        raise ValidationError(f"there is no {sent.method} {sent.path}")
    operation = document()["paths"][sent.path][sent.method.lower()]
    if ("requestBody" in operation) != (sent.body is not None):
        raise ValidationError("a body is missing, or too much")
    if sent.body is not None:
        (form,) = list(operation["requestBody"]["content"].values())[:1]
        _validate(sent.body, form["schema"])
    known = {each["name"]: each["schema"] for each in operation.get("parameters", []) if each["in"] == "query"}
    for name, value in sent.query.items():
        if name.removesuffix("[]") not in known:
            raise ValidationError(f"there is no parameter {name}")
        _validate(_read(name, value), known[name.removesuffix("[]")])


def by_types(sent: Sent) -> None:
    """Raise TypeMismatch if the SDK's types do not know this request."""
    values = sent.body
    if values is None:
        values = {name.removesuffix("[]"): _read(name, value) for name, value in sent.query.items()}
    types: TypeAdapter[Any] = TypeAdapter(TYPES[sent.method, sent.path])
    _exhaust(types.validate_python(values))


@pytest.fixture(params=[by_document, by_types])
def check(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Check:
    """A check of a request. Also the types take what they know only."""
    for known in [*TYPES.values(), FileSearchToolParam]:
        monkeypatch.setattr(known, "__pydantic_config__", ConfigDict(extra="forbid"), raising=False)
    chosen: Check = request.param
    if chosen is by_document:
        document()
    return chosen


def test_every_request_is_one_that_openai_takes(sent: list[Sent], check: Check) -> None:
    for each in sent:
        check(each)

    assert {(each.method, each.path) for each in sent} == set(TYPES)


WRONG: Final[dict[str, tuple[str, Callable[[Any], Any]]]] = {
    "a model that is a number": ("/responses", lambda body: {**body, "model": 7}),
    "a temperature in words": ("/responses", lambda body: {**body, "temperature": "warm"}),
    "a parameter of another API": ("/responses", lambda body: {**body, "max_tokens": 7}),
    "a role that is none": ("/responses", lambda body: {**body, "input": [{"role": "clone", "content": "Hi"}]}),
    "words that are a number": ("/responses", lambda body: {**body, "input": [{"role": "user", "content": 7}]}),
    "stores that are one": ("/responses", lambda body: _with_tool(body, vector_store_ids="vs_1")),
    "a tool without stores": ("/responses", lambda body: {**body, "tools": [{"type": "file_search"}]}),
    "a number in words": ("/responses", lambda body: _with_tool(body, max_num_results="ten")),
    "an include that is none": ("/responses", lambda body: {**body, "include": ["file_search.results"]}),
    "tags that are numbers": ("/vector_stores", lambda body: {**body, "metadata": {"owner": 7}}),
    "tags under another name": ("/vector_stores", lambda body: {**body, "tags": {}}),
    "files that are one": ("/vector_stores/{vector_store_id}/file_batches", lambda _body: {"file_ids": "file-1"}),
    "no file": ("/vector_stores/{vector_store_id}/files", lambda _body: {}),
    "no query": ("/vector_stores/{vector_store_id}/search", lambda _body: {"max_num_results": 5}),
    "a purpose that is none": ("/files", lambda body: {**body, "purpose": "knowledge"}),
    "a file without a purpose": ("/files", lambda body: {"file": body["file"]}),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_body_would_be_noticed(sent: list[Sent], check: Check, mistake: str) -> None:
    path, spoil = WRONG[mistake]
    right = [each for each in sent if (each.method, each.path) == ("POST", path)][-1]

    check(right)
    with pytest.raises((ValidationError, TypeMismatch)):
        check(right._replace(body=spoil(deepcopy(right.body))))


@pytest.mark.parametrize("query", [{"order": "newest"}, {"limit": "many"}, {"since": "file-1"}])
def test_a_wrong_query_would_be_noticed(sent: list[Sent], check: Check, query: dict[str, str]) -> None:
    right = next(each for each in sent if (each.method, each.path) == ("GET", "/vector_stores"))

    with pytest.raises((ValidationError, TypeMismatch)):
        check(right._replace(query=query))


def _template(method: str, path: str) -> str:
    for known_method, template in TYPES:
        pattern = re.sub(r"\{\w+\}", "[^/]+", template)
        if known_method == method and re.fullmatch(f"/v1{pattern}", path):
            return template
    raise AssertionError(f"nothing is known of {method} {path}")


def _plain(body: Any) -> Any:
    """A body without what the fake says of a file."""
    return {name: value for name, value in body.items() if name not in ("bytes", "sha256")} if body else None


def _read(name: str, value: str) -> Any:
    """A value of a query as the number or list that it is."""
    if name.endswith("[]"):
        return [value]
    return int(value) if value.isdecimal() else value


def _validate(value: Any, schema: Any) -> None:
    """Raise ValidationError if a value is not as the document's schema says, or has more than that."""
    strict = {"$ref": "#/checked", "checked": schema, "components": document()["components"]}
    if isinstance(value, dict):
        strict["unevaluatedProperties"] = False
    Draft202012Validator(strict).validate(value)


def _exhaust(value: Any) -> None:
    """Look at all of a value: parts of it are checked when they are asked for."""
    if isinstance(value, Mapping):
        value = value.values()
    elif isinstance(value, str) or not isinstance(value, list | Iterator):
        return
    for each in value:
        _exhaust(each)


def _with_tool(body: Any, **changes: Any) -> Any:
    (tool,) = body["tools"]
    return {**body, "tools": [{**tool, **changes}]}
