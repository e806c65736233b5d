"""Links are fetched from the public internet and from nowhere else, whatever they look like and wherever they lead."""

import datetime as dt
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from resolvers import link
from resolvers.link import is_public
from tests.conftest import fresh_database
from tests.library import JONAS_DRAFT, refused
from tests.money import sql
from tests.serving import CAST, Gateway, serving
from tests.web import HTML, MARKDOWN, Web, web

DOMAIN = "domain_019a48f1d6807bcc8a89fc32022f1bae"
MUTATION = """
    mutation($input: AddDocumentLinkInput!) {
      addDocumentLink(input: $input) {
        document { id name documentLink originalUrl sizeBytes mediaType owner { fullName } }
        userErrors { code message path }
      }
    }
"""
PRIVATE = "not on the public internet"

Answers = Callable[[str], list[str]]


@pytest.fixture(scope="module")
def site() -> Iterator[Web]:
    with web() as served:
        yield served


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def database(server_url: str, template: str) -> Iterator[str]:
    with fresh_database(server_url, template) as url:
        yield url


SETTINGS: dict[str, Any] = {"points_capacity": 100_000_000, "max_upload_bytes": 1_000_000, "link_timeout": 1}


@pytest.fixture(scope="module")
def fetching(database: str, folder: Path, site: Web) -> Iterator[Gateway]:
    """A gateway that may fetch from the web of the tests, from some other hosts, and from no one else."""
    hosts = [site.origin, f"http://pinned.test:{site.port}", "docs.test", "127.0.0.1", "169.254.169.254"]
    with serving(database, {**SETTINGS, "storage_url": folder.as_uri(), "link_hosts": ",".join(hosts)}) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def open_gateway(database: str, folder: Path) -> Iterator[Gateway]:
    """A gateway as it is without settings: it may fetch from every public host."""
    with serving(database, {**SETTINGS, "storage_url": folder.as_uri()}) as gateway:
        yield gateway


@contextmanager
def names(resolve: Answers) -> Iterator[list[str]]:
    """The system's resolver, replaced for names that end in `.test`; which ones were asked for."""
    asked: list[str] = []
    known = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if not name or not name.endswith(".test"):
            return known(host, port, *args, **options)
        asked.append(name)
        found = []
        for address in resolve(name):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            found.append((family, socket.SOCK_STREAM, 6, "", (address, port)))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield asked


def add(gateway: Gateway, url: str, *, as_: str | None = "maya", **given: Any) -> Any:
    input_ = {"idempotencyKey": str(uuid4()), "domainId": DOMAIN, "name": str(uuid4()), "url": url, **given}
    return gateway.ask(MUTATION, as_=as_, input=input_)


def fetched(gateway: Gateway, url: str, **given: Any) -> Any:
    payload = add(gateway, url, **given).data["addDocumentLink"]
    assert payload["userErrors"] == []
    return payload["document"]


def refusal(gateway: Gateway, url: str) -> str:
    payload = add(gateway, url).data["addDocumentLink"]
    assert payload["document"] is None
    ((code, message, path),) = [tuple(each.values()) for each in payload["userErrors"]]
    assert (code, path) == ("INVALID_INPUT", ["input", "url"])
    return str(message)


def kept(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_what_is_at_a_link_becomes_a_document_that_keeps_the_link(fetching: Gateway, folder: Path, site: Web) -> None:
    document = fetched(fetching, site.page("notes.md"), name="Linked")

    key = document["documentLink"].removeprefix("storage://")
    assert (folder / key).read_bytes() == MARKDOWN
    assert key.endswith(".md")
    assert document["originalUrl"] == site.page("notes.md")
    assert (document["sizeBytes"], document["mediaType"]) == (len(MARKDOWN), "text/markdown")
    assert document["owner"] == {"fullName": CAST["maya"].name}


@pytest.mark.parametrize(
    ("page", "media_type"),
    [("article", "text/html"), ("plain", "text/plain"), ("paper", "application/pdf"), ("hops/5", "text/markdown")],
)
def test_what_it_is_is_told_by_what_is_in_it_and_by_how_it_is_called(
    fetching: Gateway, site: Web, page: str, media_type: str
) -> None:
    assert fetched(fetching, site.page(page))["mediaType"] == media_type


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("picture", "cannot be read"),
        ("picture.md", "cannot be read"),
        ("empty.md", "empty"),
        ("missing.md", "status 404"),
        ("zipped.md", "compressed"),
        ("large.md", "too large"),
        ("endless.md", "too large"),
        ("slow.md", "within 1 seconds"),
        ("hops/6", "more than 5 times"),
        ("to?link=https://0177.0.0.1/", "leads to another one that is none"),
        ("to?link=ftp://127.0.0.1/", "a link like https://"),
    ],
)
def test_what_cannot_be_fetched_is_a_user_error_and_leaves_nothing(
    fetching: Gateway, folder: Path, site: Web, page: str, message: str
) -> None:
    before = kept(folder)

    assert message in refusal(fetching, site.page(page))
    assert kept(folder) == before


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "127.1", "0.0.0.0", "2130706433", "0x7f000001", "0x7f.1", "[::1]", "[::]",  # noqa: S104
        "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "169.254.169.254", "[fe80::1]", "[fd00:ec2::254]",
        "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "224.0.0.1", "[ff02::1]", "240.0.0.1",
        "255.255.255.255", "192.0.0.8", "198.18.0.1", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fec0::1]",
        "nowhere.invalid", "localhost.", "127.0.0.1.",
    ],
)  # fmt: skip
def test_no_link_leads_to_a_place_inside(open_gateway: Gateway, host: str) -> None:
    assert PRIVATE in refusal(open_gateway, f"https://{host}/")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://example.com/", "Only links that begin with https://"),
        ("https://example.com:8443/", "Only links that begin with https://"),
        ("https://example.com:22/", "Only links that begin with https://"),
        ("https://maya:secret@example.com/", "name or password"),
        ("https://maya@example.com/", "name or password"),
        ("file:///etc/passwd", "a link like https://"),
        ("gopher://example.com/", "a link like https://"),
        ("ftp://example.com/", "a link like https://"),
        ("data:text/plain,x", "a link like https://"),
        ("//example.com/", "a link like https://"),
        ("example.com", "a link like https://"),
        ("https://", "a link like https://"),
        ("https:///path", "a link like https://"),
        ("", "a link like https://"),
        ("https://[::1", "a link like https://"),
        ("https://0177.0.0.1/", "a link like https://"),
        ("https://\uff11\uff12\uff17.0.0.1/", "a link like https://"),
        ("https://\u2460\u2461\u2466.0.0.1/", "a link like https://"),
        ("https://exa\0mple.com/", "a link like https://"),
        ("https://example.com/" + "x" * 2_000, "a link like https://"),
    ],
)
def test_what_is_no_public_link_is_a_user_error(open_gateway: Gateway, url: str, message: str) -> None:
    assert message in refusal(open_gateway, url)


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["93.184.215.14", "10.0.0.1"], ["::ffff:10.0.0.1"], ["fe80::1%eth0"], []],
    ids=str,
)
def test_a_name_that_means_a_place_inside_is_refused_whatever_else_it_means(
    open_gateway: Gateway, addresses: list[str]
) -> None:
    with names(lambda name: addresses):
        assert PRIVATE in refusal(open_gateway, "https://inside.test/")


def test_a_name_means_for_the_connection_what_it_meant_when_it_was_checked(fetching: Gateway, site: Web) -> None:
    answers = iter([["127.0.0.1"], ["127.0.0.9"], ["127.0.0.9"]])

    with names(lambda name: next(answers)) as asked:
        fetched(fetching, f"http://pinned.test:{site.port}/notes.md")

    assert asked == ["pinned.test"]
    assert site.visits[-1] == (f"pinned.test:{site.port}", "notes.md")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("https://169.254.169.254/latest/meta-data", PRIVATE),
        ("http://169.254.169.254/latest/meta-data", "Only links that begin with https://"),
        ("https://127.0.0.1/", PRIVATE),
        ("https://docs.test/", PRIVATE),
        ("https://elsewhere.test/", "not followed here"),
        ("file:///etc/passwd", "a link like https://"),
        ("https://maya:secret@docs.test/", "name or password"),
    ],
)
def test_a_redirect_is_checked_like_a_link(fetching: Gateway, site: Web, target: str, message: str) -> None:
    with names(lambda name: ["10.0.0.1"]):
        assert message in refusal(fetching, site.page(f"to?link={target}"))


def test_a_host_that_is_not_in_the_list_is_not_even_looked_up(fetching: Gateway) -> None:
    with names(lambda name: ["93.184.215.14"]) as asked:
        message = refusal(fetching, "https://elsewhere.test/")

    assert "not followed here" in message
    assert asked == []


def test_proxies_and_secrets_of_the_environment_are_left_alone(
    fetching: Gateway, site: Web, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login maya password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    fetched(fetching, site.page("notes.md"))

    assert "authorization" not in site.headers[-1]


def certificate_for(name: str, path: Path) -> Path:
    """A certificate for a name of a host, signed by itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(pem)
    )
    return path


@pytest.mark.parametrize(("name", "is_trusted"), [("papers.test", True), ("other.test", False)])
def test_the_certificate_must_be_that_of_the_name(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_trusted: bool
) -> None:
    certificate = certificate_for(name, tmp_path / "certificate.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    link._trust.cache_clear()
    with web(certificate) as site, names(lambda name: ["127.0.0.1"]):
        origin = f"https://papers.test:{site.port}"
        with serving(database, {**SETTINGS, "storage_url": tmp_path.as_uri(), "link_hosts": origin}) as gateway:
            answer = add(gateway, f"{origin}/article").data["addDocumentLink"]
    link._trust.cache_clear()

    assert bool(answer["document"]) is is_trusted
    assert site.visits == ([(f"papers.test:{site.port}", "article")] if is_trusted else [])


def test_a_link_is_fetched_once_under_one_key(fetching: Gateway, folder: Path, site: Web) -> None:
    key = str(uuid4())
    first = fetched(fetching, site.page("notes.md"), name="Once", idempotencyKey=key)
    before, visits = kept(folder), len(site.visits)

    again = fetched(fetching, site.page("notes.md"), name="Once", idempotencyKey=key)
    other = add(fetching, site.page("article"), name="Once", idempotencyKey=key)

    assert again == first
    assert (kept(folder), len(site.visits)) == (before, visits)
    assert other.data["addDocumentLink"]["userErrors"][0]["code"] == "IDEMPOTENCY_KEY_REUSED"


def test_a_name_that_is_taken_is_told_before_anything_is_fetched(fetching: Gateway, site: Web) -> None:
    fetched(fetching, site.page("notes.md"), name="Taken")
    visits = len(site.visits)

    payload = add(fetching, site.page("notes.md"), name="Taken").data["addDocumentLink"]

    assert [each["code"] for each in payload["userErrors"]] == ["NAME_TAKEN"]
    assert len(site.visits) == visits


@pytest.mark.parametrize(("person", "code"), [(None, "FORBIDDEN"), ("aiko", "FORBIDDEN")])
def test_only_creators_have_links_fetched(fetching: Gateway, site: Web, person: str | None, code: str) -> None:
    visits = len(site.visits)

    answer = add(fetching, site.page("notes.md"), as_=person)

    assert answer.codes == [code]
    assert len(site.visits) == visits


def test_a_linked_document_that_cannot_be_written_leaves_no_file(fetching: Gateway, folder: Path, site: Web) -> None:
    before = kept(folder)
    sql(fetching.database_url, "ALTER TABLE documents ADD CONSTRAINT refuse_it CHECK (name <> 'Refused') NOT VALID")

    answer = add(fetching, site.page("notes.md"), name="Refused")

    assert answer.codes == ["INTERNAL"]
    assert kept(folder) == before


def test_a_clone_learns_what_is_at_a_link(fetching: Gateway, folder: Path, site: Web) -> None:
    answer = fetching.ask(
        """mutation($input: AddKnowledgeInput!) { addKnowledge(input: $input) {
            knowledge { contentType fileType originalUrl fileUrl fileName } userErrors { code message path } } }""",
        as_="maya",
        input={
            "idempotencyKey": str(uuid4()),
            "cloneId": "clone_01a0e1e0c8007177be63515062abd113",
            "title": "An article",
            "content": {"url": site.page("article")},
        },
    )

    shown = answer.data["addKnowledge"]["knowledge"]
    assert (folder / shown.pop("fileUrl").removeprefix("storage://")).read_bytes() == HTML
    assert shown == {
        "contentType": "url",
        "fileType": "text/html",
        "originalUrl": site.page("article"),
        "fileName": "article.html",
    }


def test_nothing_is_fetched_for_the_clone_of_another_creator(fetching: Gateway, site: Web) -> None:
    visits = len(site.visits)

    error = refused(
        fetching, "addKnowledge", cloneId=JONAS_DRAFT, title="An article", content={"url": site.page("article")}
    )

    assert error["code"] == "NOT_FOUND"
    assert len(site.visits) == visits


@pytest.mark.parametrize("network", ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_public(network: str) -> None:
    assert is_public(str(ipaddress.ip_address(network)))


def test_the_connection_is_checked_by_the_certificates_of_the_system() -> None:
    context = link._trust()

    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
