"""Files come in by the GraphQL multipart request specification, and none is left where it should not be."""

import asyncio
import hashlib
import json
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import psutil
import pytest
from structlog.testing import capture_logs

from gateway.explorer import examples
from gateway.uploads import MOST_FILES
from tests.conftest import execute, fresh_database
from tests.serving import CAST, Answer, Gateway, serving
from tests.test_examples import KEYS

UPLOAD = """
    mutation($input: UploadDocumentInput!) {
      uploadDocument(input: $input) {
        document { id name documentLink sizeBytes mediaType createdBy owner { fullName } domain { name } viewerCanEdit }
        userErrors { code message path ... on NameTaken { suggestion } }
      }
    }
"""
DOMAIN = "domain_019a48f1d6807bcc8a89fc32022f1bae"
PREFLIGHT = {"graphql-require-preflight": "1"}
MOST_BYTES = 101_000_000
MEGABYTE = 1_000_000

Parts = list[tuple[str, tuple[str | None, Any] | tuple[str | None, Any, str]]]
"""Parts of a form: name, and file name and content."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the gateway keeps files."""
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def receiving(server_url: str, template: str, folder: Path) -> Iterator[Gateway]:
    """A gateway that takes files, over demo data of this file's own."""
    settings = {"storage_url": folder.as_uri(), "max_upload_bytes": MOST_BYTES, "body_timeout": 1}
    with fresh_database(server_url, template) as url, serving(url, settings) as gateway:
        yield gateway


def form(variables: Any, places: Any, *files: tuple[str, str, Any], query: str = UPLOAD) -> Parts:
    """A form as clients send it. files: the name in the form, the file's name, and what is in it."""
    operations = json.dumps({"query": query, "variables": variables})
    fields: Parts = [("operations", (None, operations)), ("map", (None, json.dumps(places)))]
    return [*fields, *((name, (file, content)) for name, file, content in files)]


def post(
    gateway: Gateway, parts: Parts, *, as_: str | None = "maya", headers: dict[str, str] | None = None
) -> httpx2.Response:
    return gateway.client.post(
        "/graphql", files=parts, headers={**gateway.headers(as_), **(PREFLIGHT if headers is None else headers)}
    )


def upload(
    gateway: Gateway, name: str, content: Any = b"# Notes", *, file: str = "notes.md", as_: str | None = "maya"
) -> Answer:
    variables = {"input": {"domainId": DOMAIN, "name": name, "file": None}}
    return Answer(post(gateway, form(variables, {"0": ["variables.input.file"]}, ("0", file, content)), as_=as_), [])


def kept(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def rows(gateway: Gateway, statement: str, *arguments: Any) -> list[Any]:
    return asyncio.run(execute(gateway.database_url, statement, *arguments))


@contextmanager
def memory() -> Iterator[list[int]]:
    """How much memory this process has, again and again, while the block runs."""
    process, over, seen = psutil.Process(), threading.Event(), [psutil.Process().memory_info().rss]

    def look() -> None:
        while not over.wait(0.005):
            seen.append(process.memory_info().rss)

    watching = threading.Thread(target=look)
    watching.start()
    try:
        yield seen
    finally:
        over.set()
        watching.join()


def test_a_creator_uploads_a_document_of_her_own(receiving: Gateway, folder: Path) -> None:
    answer = upload(receiving, "  On recall ", b"# Recall\n", file="My notes.MD")

    shown = answer.data["uploadDocument"]["document"]
    key = shown.pop("documentLink").removeprefix("storage://")
    assert answer.data["uploadDocument"]["userErrors"] == []
    assert (folder / key).read_bytes() == b"# Recall\n"
    assert key.startswith("documents/")
    assert key.endswith(".md")
    assert {**shown, "id": 0} == {
        "id": 0,
        "name": "On recall",
        "sizeBytes": 9,
        "mediaType": "text/markdown",
        "createdBy": CAST["maya"].email,
        "owner": {"fullName": CAST["maya"].name},
        "domain": {"name": "AI education"},
        "viewerCanEdit": True,
    }


def test_the_file_of_a_strange_name_is_kept_under_a_plain_one(receiving: Gateway, folder: Path) -> None:
    answer = upload(receiving, "Strange", file="../../etc/pass\u202ewd.%2e./\u00e4.Markdown")

    link = answer.data["uploadDocument"]["document"]["documentLink"]
    assert set(urlsplit(link).path.removesuffix(".md")) <= set("/0123456789abcdef")
    assert (folder / link.removeprefix("storage://")).is_file()


@pytest.mark.parametrize(("person", "code"), [(None, "UNAUTHENTICATED"), ("aiko", "FORBIDDEN")])
def test_only_creators_upload(receiving: Gateway, folder: Path, person: str | None, code: str) -> None:
    before = kept(folder)

    answer = upload(receiving, "Not mine to bring", as_=person)

    assert answer.codes == [code]
    assert kept(folder) == before


def test_an_empty_file_and_a_missing_name_are_user_errors(receiving: Gateway, folder: Path) -> None:
    before = kept(folder)

    payload = upload(receiving, " ", b"").data["uploadDocument"]

    assert payload["document"] is None
    assert [(each["code"], each["path"]) for each in payload["userErrors"]] == [
        ("INVALID_INPUT", ["input", "name"]),
        ("INVALID_INPUT", ["input", "file"]),
    ]
    assert kept(folder) == before


def test_a_domain_that_is_not_there_is_a_user_error(receiving: Gateway) -> None:
    nothing = {"input": {"domainId": f"domain_{'0' * 31}1", "name": "Lost", "file": None}}

    answer = Answer(post(receiving, form(nothing, {"0": ["variables.input.file"]}, ("0", "a.txt", b"a"))), [])

    (problem,) = answer.data["uploadDocument"]["userErrors"]
    assert (problem["code"], problem["path"]) == ("NOT_FOUND", ["input", "domainId"])


def test_a_name_that_is_taken_comes_with_one_that_is_free(receiving: Gateway, folder: Path) -> None:
    for name in ("Twice", "Twice (2)"):
        assert upload(receiving, name).data["uploadDocument"]["document"]
    before = kept(folder)

    (problem,) = upload(receiving, "Twice", as_="jonas").data["uploadDocument"]["userErrors"]

    assert (problem["code"], problem["suggestion"]) == ("NAME_TAKEN", "Twice (3)")
    assert kept(folder) == before


def test_of_two_uploads_of_one_name_at_the_same_time_one_is_refused_and_leaves_no_file(
    receiving: Gateway, folder: Path
) -> None:
    before = kept(folder)
    answers: list[Answer] = []
    content = b"x" * MEGABYTE

    threads = [threading.Thread(target=lambda: answers.append(upload(receiving, "Raced", content))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    codes = sorted(str([each["code"] for each in answer.data["uploadDocument"]["userErrors"]]) for answer in answers)
    assert codes == ["['NAME_TAKEN']"] * 3 + ["[]"]
    assert len(kept(folder) - before) == 1


def test_a_file_whose_row_cannot_be_written_is_deleted_again(receiving: Gateway, folder: Path) -> None:
    before = kept(folder)
    rows(receiving, "ALTER TABLE documents ADD CONSTRAINT refuse_all CHECK (name <> 'Refused') NOT VALID")

    with capture_logs() as logged:
        answer = upload(receiving, "Refused")

    assert answer.codes == ["INTERNAL"]
    assert "internal_error" in [line["event"] for line in logged]
    assert "refuse_all" not in answer.response.text
    assert kept(folder) == before


def test_files_are_not_kept_where_there_is_no_place(own_database: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with serving(own_database, {"storage_url": (tmp_path / "file").as_uri()}) as gateway:
        answer = upload(gateway, "Nowhere")

    assert answer.codes == ["UNAVAILABLE"]
    assert str(tmp_path) not in answer.response.text


def test_the_example_of_an_upload_can_be_run_again(receiving: Gateway) -> None:
    (example,) = (each for each in examples() if each.name == "uploadDocument")
    parts = form(example.variables, {"f": ["variables.input.file"]}, ("f", "n.md", b"1"), query=example.query)

    first, second = (Answer(post(receiving, parts, as_=KEYS[example.as_ or ""]), []) for _ in range(2))

    assert first.data["uploadDocument"]["document"]
    assert second.data["uploadDocument"]["userErrors"][0]["suggestion"]


def test_files_can_be_anywhere_in_the_variables_and_one_file_in_several_places(receiving: Gateway) -> None:
    wanted = """
        mutation($a: UploadDocumentInput!, $name: String!, $b: Upload!, $domain: ID!) {
          a: uploadDocument(input: $a) { document { name } }
          b: uploadDocument(input: { domainId: $domain, name: $name, file: $b }) { document { name } }
        }
    """
    variables = {
        "a": {"domainId": DOMAIN, "name": "Here", "file": None},
        "name": "And there",
        "b": None,
        "domain": DOMAIN,
    }

    answer = Answer(
        post(
            receiving, form(variables, {"f": ["variables.a.file", "variables.b"]}, ("f", "f.txt", b"1"), query=wanted)
        ),
        [],
    )

    assert answer.data == {"a": {"document": {"name": "Here"}}, "b": {"document": {"name": "And there"}}}


def test_a_form_without_files_is_a_request_too(receiving: Gateway) -> None:
    response = post(receiving, form({}, {}, query="{ viewer { fullName } }"))

    assert response.json() == {"data": {"viewer": {"fullName": CAST["maya"].name}}}


def test_a_form_is_behind_the_check_for_foreign_pages(receiving: Gateway) -> None:
    response = post(receiving, form({}, {}, query="{ __typename }"), headers={})

    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (403, "PREFLIGHT_REQUIRED")


def test_what_is_no_file_cannot_pass_for_one(receiving: Gateway) -> None:
    input_ = {"domainId": DOMAIN, "name": "A text", "file": "a text"}
    literal = f'mutation {{ uploadDocument(input: {{ domainId: "{DOMAIN}", name: "x", file: "x" }}) {{ __typename }} }}'

    assert receiving.ask(UPLOAD, as_="maya", input=input_).codes == ["BAD_USER_INPUT"]
    assert receiving.ask(literal, as_="maya").codes == ["GRAPHQL_VALIDATION_FAILED"]


FILE = ("0", "a.txt", b"a")
PLACE = {"0": ["variables.input.file"]}
NULL = {"input": {"file": None}, "list": [None, {"file": None}]}
OPERATIONS = ("operations", (None, json.dumps({"query": "{ __typename }", "variables": NULL})))


ONLY_MAP = ("map", (None, "{}"))
MALFORMED: dict[str, tuple[Parts, int, str]] = {
    "no operations": ([ONLY_MAP], 422, "operations once"),
    "no map": ([OPERATIONS], 422, "map once"),
    "operations twice": ([OPERATIONS, OPERATIONS], 422, "operations once"),
    "too many fields": ([OPERATIONS, OPERATIONS, ONLY_MAP], 400, "Too many fields"),
    "operations as a file": ([("operations", ("o.json", b"{}")), ONLY_MAP], 422, "operations once"),
    "operations that are no JSON": ([("operations", (None, "{")), ONLY_MAP], 400, "operations must be JSON"),
    "operations too large": ([("operations", (None, " " * 2 * MEGABYTE)), ONLY_MAP], 400, "maximum size"),
    "map that is no JSON": ([OPERATIONS, ("map", (None, "nonsense"))], 400, "map must be JSON"),
    "several operations": ([("operations", (None, "[]")), ONLY_MAP], 422, "one operation"),
    "operations of another type": ([("operations", (None, "7")), ONLY_MAP], 422, "JSON object"),
    "no query": ([("operations", (None, '{"variables": {}}')), ONLY_MAP], 422, "query is missing"),
    "map of another type": ([OPERATIONS, ("map", (None, "[]"))], 422, "map must be a JSON object"),
    "a path alone": (form(NULL, {"0": "variables.input.file"}, FILE), 422, "list of paths"),
    "a path that is no text": (form(NULL, {"0": [7]}, FILE), 422, "list of paths"),
    "no file": (form(NULL, PLACE), 422, "is not in the form"),
    "one file of two": (form(NULL, {**PLACE, "1": []}, FILE), 422, "is not in the form"),
    "a file that is a field": ([*form(NULL, PLACE)[1:], ("0", (None, "a"))], 422, "operations once"),
    "a file without a place": (form(NULL, {}, FILE), 422, "does not say where"),
    "a file twice": (form(NULL, PLACE, FILE, FILE), 422, "twice"),
    "a path from the root": (form(NULL, {"0": ["input.file"]}, FILE), 422, "begin with `variables.`"),
    "a path to all variables": (form(NULL, {"0": ["variables"]}, FILE), 422, "begin with `variables.`"),
    "a path of no variable": (form(NULL, {"0": ["variables.input.other"]}, FILE), 422, "leads nowhere"),
    "a path through null": (form(NULL, {"0": ["variables.input.file.deeper"]}, FILE), 422, "leads nowhere"),
    "a path beyond a list": (form(NULL, {"0": ["variables.list.2"]}, FILE), 422, "leads nowhere"),
    "a path before a list": (form(NULL, {"0": ["variables.list.-1"]}, FILE), 422, "leads nowhere"),
    "a path of a huge number": (form(NULL, {"0": ["variables.list." + "9" * 9000]}, FILE), 422, "leads nowhere"),
    "no variables": (form(None, PLACE, FILE), 422, "leads nowhere"),
    "variables of another type": (form([None], {"0": ["variables.0"]}, FILE), 422, "variables must be an object"),
    "a place that is taken": (form({"input": {"file": "taken"}}, PLACE, FILE), 422, "must lead to null"),
    "a place twice": (form(NULL, {"0": PLACE["0"] * 2}, FILE), 422, "must lead to null"),
    "a place that is an object": (form(NULL, {"0": ["variables.input"]}, FILE), 422, "must lead to null"),
    "too many files": (
        form(NULL, {}, *((str(each), "f", b"") for each in range(MOST_FILES + 1))),
        400,
        "Too many files",
    ),
}


@pytest.mark.parametrize("fault", MALFORMED)
def test_a_malformed_form_is_refused_with_the_reason(receiving: Gateway, fault: str) -> None:
    parts, status, words = MALFORMED[fault]

    response = post(receiving, parts)

    assert response.status_code == status
    assert words in response.json()["errors"][0]["message"]
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"nonsense"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=map\r\n\r\n{}"),
        ("multipart/form-data; boundary=" + "x" * 9_000, b"--x"),
        ("multipart/form-data; boundary=x; charset=utf-7", b"--x\r\n\xff\xfe: \x00\r\n\r\n--x--"),
    ],
    ids=range(7),
)
def test_what_is_no_form_is_refused(receiving: Gateway, content_type: str, body: bytes) -> None:
    headers = {**PREFLIGHT, **receiving.headers("maya"), "content-type": content_type}

    response = receiving.client.post("/graphql", content=body, headers=headers)

    assert response.status_code in (400, 422)
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


def test_a_large_file_takes_no_memory(receiving: Gateway, folder: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.txt"
    with large.open("wb") as file:
        file.write(b"Many words. " * 1_000)
        file.truncate(100 * MEGABYTE)
    upload(receiving, "A small one first")

    with large.open("rb") as file, memory() as seen:
        answer = upload(receiving, "A large one", file)

    shown = answer.data["uploadDocument"]["document"]
    assert (folder / shown["documentLink"].removeprefix("storage://")).stat().st_size == 100 * MEGABYTE
    assert (shown["sizeBytes"], shown["mediaType"]) == (100 * MEGABYTE, "text/markdown")
    ((sha256,),) = rows(receiving, "SELECT sha256 FROM documents WHERE name = 'A large one'")
    with large.open("rb") as file:
        assert sha256 == hashlib.file_digest(file, "sha256").hexdigest()
    assert max(seen) - seen[0] < 30 * MEGABYTE


def test_more_than_allowed_is_refused_before_it_is_read(receiving: Gateway) -> None:
    connection = HTTPConnection(receiving.url.removeprefix("http://"))
    headers = {**_streamed(receiving), "content-length": str(MOST_BYTES + 1)}

    connection.request("POST", "/graphql", headers=headers)
    response = connection.getresponse()
    body = json.load(response)
    connection.close()

    assert (response.status, body["errors"][0]["extensions"]["code"]) == (413, "REQUEST_TOO_LARGE")


def test_a_client_that_stops_sending_is_not_waited_for(receiving: Gateway) -> None:
    connection = HTTPConnection(receiving.url.removeprefix("http://"))

    connection.request("POST", "/graphql", headers={**_streamed(receiving), "content-length": "100"})
    response = connection.getresponse()
    body = json.load(response)
    connection.close()

    assert (response.status, body["errors"][0]["extensions"]["code"]) == (408, "REQUEST_TIMEOUT")


def test_more_than_allowed_without_saying_so_is_refused_on_the_way(receiving: Gateway) -> None:
    def endless() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="0"; filename="f"\r\n\r\n'
        for _ in range(MOST_BYTES // MEGABYTE + 2):
            yield bytes(MEGABYTE)

    try:
        response = receiving.client.post("/graphql", content=endless(), headers=_streamed(receiving))
    except httpx2.WriteError:
        return  # The connection was closed while we were still sending.

    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (413, "REQUEST_TOO_LARGE")


def test_no_file_stays_open_whatever_becomes_of_the_request(receiving: Gateway) -> None:
    process = psutil.Process()
    files = [(str(each), "f", bytes(2 * MEGABYTE)) for each in range(3)]
    nowhere = {str(each): ["variables.nowhere"] for each in range(3)}
    variables = {"input": {"domainId": DOMAIN, "name": "Opened", "file": None}}
    upload(receiving, "Opened")
    before = process.num_fds()

    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        post(receiving, form(variables, nowhere, *files))
        post(receiving, form(variables, {}, *files)[1:])
        upload(receiving, "Opened again", b"x" * 2 * MEGABYTE)
        with pytest.raises(httpx2.TransportError):
            receiving.client.post("/graphql", content=_broken_off(), headers=_streamed(receiving))

    assert process.num_fds() <= before


def _streamed(gateway: Gateway) -> dict[str, str]:
    return {**PREFLIGHT, **gateway.headers("maya"), "content-type": "multipart/form-data; boundary=x"}


def _broken_off() -> Iterator[bytes]:
    yield b'--x\r\nContent-Disposition: form-data; name="0"; filename="f"\r\n\r\n'
    yield bytes(2 * MEGABYTE)
    raise httpx2.WriteError("broken off")
