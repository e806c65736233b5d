"""Files are downloaded by addresses that are good for a while, by whoever may see the link, and never shown."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx2
import pytest

from resolvers.download import SECONDS, signature
from tests.conftest import fresh_database
from tests.money import sql
from tests.serving import Gateway, serving
from tests.test_uploads import upload

CONTENT = b"# Recall\n\n" + b"Ask before you tell. " * 1_000
URL = "query($id: ID!) { document(id: $id) { id documentLink downloadUrl } }"
SECRET = "a secret for addresses, and for nothing else"  # noqa: S105


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def keeping(server_url: str, template: str, folder: Path) -> Iterator[Gateway]:
    settings = {"storage_url": folder.as_uri(), "points_capacity": 100_000_000, "files_secret": SECRET}
    with fresh_database(server_url, template) as url, serving(url, settings) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def document(keeping: Gateway) -> str:
    """The id of a document of Maya's."""
    answer = upload(keeping, 'Recall: "how/why" \u00e4', CONTENT, file="recall.md")
    id_: str = answer.data["uploadDocument"]["document"]["id"]
    return id_


def url_of(gateway: Gateway, document: str, as_: str | None = "maya") -> Any:
    return gateway.ask(URL, as_=as_, id=document).data["document"]["downloadUrl"]


def get(gateway: Gateway, url: str, **headers: str) -> httpx2.Response:
    """What a program without a token gets."""
    return httpx2.get(gateway.url + url, headers=headers, trust_env=False)


def changed(url: str, **parts: str) -> str:
    """An address with other parameters."""
    given = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()} | parts
    return f"{urlsplit(url).path}?" + "&".join(f"{name}={quote(value)}" for name, value in given.items())


def test_a_file_comes_as_it_was_kept_to_be_saved_under_the_name_of_the_document(
    keeping: Gateway, document: str
) -> None:
    response = get(keeping, url_of(keeping, document))

    assert (response.status_code, response.content) == (200, CONTENT)
    assert response.headers["content-type"].startswith("text/markdown")
    name = quote('Recall- "how-why" \u00e4.md')
    assert response.headers["content-disposition"] == f"attachment; filename*=utf-8''{name}"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    assert response.headers["cache-control"] == "private, no-store"


def test_a_part_of_a_file_can_be_asked_for(keeping: Gateway, document: str) -> None:
    response = get(keeping, url_of(keeping, document), range="bytes=2-7")

    assert (response.status_code, response.content) == (206, b"Recall")


def test_an_address_is_good_for_a_quarter_of_an_hour(keeping: Gateway, document: str) -> None:
    before = int(time.time())
    expires = int(parse_qs(urlsplit(url_of(keeping, document)).query)["expires"][0])

    assert SECONDS == 900
    assert before + SECONDS <= expires <= int(time.time()) + SECONDS


def test_an_address_whose_time_is_over_is_refused_with_words(keeping: Gateway, document: str) -> None:
    url = url_of(keeping, document)
    key, name = urlsplit(url).path.removeprefix("/files/"), parse_qs(urlsplit(url).query)["name"][0]
    over = str(int(time.time()) - 1)

    response = get(keeping, changed(url, expires=over, signature=signature(SECRET.encode(), key, name, over)))

    assert response.status_code == 403
    assert "downloadUrl" in response.text


@pytest.mark.parametrize(
    "change",
    [
        {"expires": "99999999999"},
        {"name": "other.html"},
        {"signature": "0" * 64},
        {"signature": ""},
        {"signature": "\u00e4"},
        {"expires": "never"},
    ],
    ids=str,
)
def test_an_address_that_was_changed_is_refused(keeping: Gateway, document: str, change: dict[str, str]) -> None:
    assert get(keeping, changed(url_of(keeping, document), **change)).status_code == 403


def test_the_address_of_one_file_is_no_good_for_another(keeping: Gateway, document: str, folder: Path) -> None:
    (folder / "documents" / "other.md").write_bytes(b"# Secret")
    url = url_of(keeping, document)

    response = get(keeping, f"/files/documents/other.md?{urlsplit(url).query}")

    assert response.status_code == 403
    assert get(keeping, "/files/documents/other.md").status_code == 403


@pytest.mark.parametrize(
    "key", ["../outside.md", "documents/../../outside.md", "documents/link.md", "documents", "/etc/passwd"]
)
def test_not_even_a_signed_address_leads_out_of_the_folder(keeping: Gateway, folder: Path, key: str) -> None:
    (folder.parent / "outside.md").write_bytes(b"# Secret")
    if not (folder / "documents" / "link.md").is_symlink():
        (folder / "documents").mkdir(exist_ok=True)
        (folder / "documents" / "link.md").symlink_to(folder.parent / "outside.md")
    expires = str(int(time.time()) + 60)
    signed = signature(SECRET.encode(), key, "x.md", expires)

    response = get(keeping, f"/files/{quote(key, safe='')}?name=x.md&expires={expires}&signature={signed}")

    assert response.status_code == 404
    assert b"Secret" not in response.content


def test_a_file_that_is_gone_is_told_so(keeping: Gateway, folder: Path) -> None:
    shown = upload(keeping, "Soon gone").data["uploadDocument"]["document"]
    url = url_of(keeping, shown["id"])
    (folder / shown["documentLink"].removeprefix("storage://")).unlink()

    assert get(keeping, url).status_code == 404


@pytest.mark.parametrize(
    ("person", "sees", "reads"),
    [
        ("maya", True, True),
        ("grace", True, True),
        ("jonas", False, False),
        ("aiko", False, False),
        (None, False, False),
    ],
)
def test_whoever_sees_the_link_gets_an_address(
    keeping: Gateway, document: str, person: str | None, sees: bool, reads: bool
) -> None:
    shown = keeping.ask(URL, as_=person, id=document).data["document"]

    assert (shown is not None) is sees
    assert bool(shown and shown["downloadUrl"]) is reads


def test_a_shared_document_gives_its_address_to_those_whose_clones_use_it_only(keeping: Gateway, document: str) -> None:
    sql(keeping.database_url, "UPDATE documents SET owner_id = NULL WHERE name LIKE 'Recall%'")
    shown = keeping.ask(URL, as_="ines", id=document).data["document"]
    sql(
        keeping.database_url,
        "UPDATE documents SET owner_id = (SELECT id FROM user_profiles WHERE email = 'maya@example.com')"
        " WHERE name LIKE 'Recall%'",
    )

    assert shown == {"id": document, "documentLink": None, "downloadUrl": None}


def test_knowledge_has_an_address_for_its_creator_and_an_error_for_strangers(keeping: Gateway) -> None:
    query = """{ clone(id: "clone_019d47d78580733e8c814fd095704e36") {
        knowledge(first: 5) { nodes { title fileUrl downloadUrl } } } }"""

    mine = keeping.ask(query, as_="maya").data["clone"]["knowledge"]["nodes"]
    strangers = keeping.ask(query.replace("fileUrl", ""))

    assert [bool(each["downloadUrl"]) for each in mine] == [bool(each["fileUrl"]) for each in mine]
    assert any(each["downloadUrl"] for each in mine)
    assert set(strangers.codes) == {"FORBIDDEN"}
    nodes = strangers.body["data"]["clone"]["knowledge"]["nodes"]
    assert all(each["title"] and each["downloadUrl"] is None for each in nodes)


def test_two_gateways_with_one_secret_know_each_others_addresses(keeping: Gateway, document: str, folder: Path) -> None:
    url = url_of(keeping, document)

    with serving(keeping.database_url, {"storage_url": folder.as_uri(), "files_secret": SECRET}) as other:
        same = get(other, url).status_code
    with serving(keeping.database_url, {"storage_url": folder.as_uri()}) as stranger:
        theirs = get(stranger, url).status_code

    assert (same, theirs) == (200, 403)


def test_a_bucket_signs_its_own_addresses(keeping: Gateway, document: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "eu-north-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)

    with serving(keeping.database_url, {"storage_url": "s3://bucket/here"}) as gateway:
        url = urlsplit(url_of(gateway, document))
        ours = get(gateway, url_of(keeping, document))

    assert (url.scheme, url.hostname) == ("https", "s3.eu-north-1.amazonaws.com")
    assert url.path.startswith("/bucket/here/documents/")
    assert parse_qs(url.query)["X-Amz-Expires"] == [str(SECONDS)]
    assert ours.status_code in (403, 404)
