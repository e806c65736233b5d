"""Links: what is at an address of the web, fetched so that no link leads to a place inside.

The name of a host is resolved once, every address that it has must be a public one, and the connection goes to just
that address: a name that means something else a moment later changes nothing. Redirects are checked like links.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from urllib.parse import unquote

import httpx2

from resolvers.file import ENDINGS
from resolvers.problems import InvalidInput
from resolvers.provisioning.extraction import SUPPORTED

LONGEST_LINK = 2_000
MOST_REDIRECTS = 5
MOST_ADDRESSES = 3
"""How many addresses of a host are tried."""
PIECE_BYTES = 256 * 1024

HEADERS = {"user-agent": "CloneGraph", "accept": ", ".join([*ENDINGS, "*/*;q=0.1"]), "accept-encoding": "identity"}
PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Links:
    """Where links may lead, and what may be there.

    hosts: names of hosts; none, and every public one will do. An origin, like `http://wiki.local:8080`, may be private.
    most_bytes: how large a file may be. seconds: how long fetching it may take.
    """

    hosts: Sequence[str] = ()
    most_bytes: int = 100_000_000
    seconds: float = 20


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file of the web. name: what it is called there, with an ending that says what it should be."""

    name: str
    pieces: AsyncIterator[bytes]


@asynccontextmanager
async def fetching(links: Links, link: str, *path: str) -> AsyncIterator[Fetched]:
    """The file at a link, to be read in this block. Raises InvalidInput, also while it is read. path: of the link."""
    try:
        async with asyncio.timeout(links.seconds), _client() as client:
            url, response = await _follow(client, links, link, path)
            try:
                yield Fetched(_name(url, response), _pieces(response, links.most_bytes, path))
            finally:
                await response.aclose()
    except TimeoutError:
        raise InvalidInput(
            f"Nothing whole came from the link within {links.seconds:g} seconds. Upload the file instead.", *path
        ) from None
    except httpx2.HTTPError as error:
        raise InvalidInput(f"The link cannot be read. {INSTEAD}", *path) from error


INSTEAD = "Check it, or upload the file instead."


def _client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(verify=_trust(), trust_env=False, timeout=None, headers=HEADERS)


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


async def _follow(
    client: httpx2.AsyncClient, links: Links, link: str, path: Sequence[str]
) -> tuple[httpx2.URL, httpx2.Response]:
    """Where a link leads at last, and the answer there."""
    url = _checked(links, link, path)
    for _ in range(MOST_REDIRECTS + 1):
        response = await _get(client, url, await _addresses(links, url, path))
        if not response.has_redirect_location:
            _check_answer(response, links.most_bytes, path)
            return url, response
        await response.aclose()
        url = _checked(links, _joined(url, response.headers["location"], path), path)
    raise InvalidInput(f"The link leads on and on, more than {MOST_REDIRECTS} times. {INSTEAD}", *path)


def _joined(url: httpx2.URL, location: str, path: Sequence[str]) -> str:
    try:
        return str(url.join(location))
    except httpx2.InvalidURL:
        raise InvalidInput(f"The link leads to another one that is none. {INSTEAD}", *path) from None


def _checked(links: Links, link: str, path: Sequence[str]) -> httpx2.URL:
    """The URL in a link, if it may be followed."""
    try:
        url = httpx2.URL(link.strip() if len(link) <= LONGEST_LINK else "")
    except httpx2.InvalidURL:
        url = httpx2.URL("")
    if url.scheme not in PORTS or not url.host:
        raise InvalidInput("This must be a link like https://example.com/page.", *path)
    if url.userinfo:
        raise InvalidInput("A link must not have a name or password in it. Upload the file instead.", *path)
    if _origin(url) not in links.hosts:
        if url.scheme != "https" or (url.port or PORTS["https"]) != PORTS["https"]:
            raise InvalidInput("Only links that begin with https:// are followed, without a port. " + INSTEAD, *path)
        if links.hosts and url.host.rstrip(".") not in links.hosts:
            allowed = ", ".join(links.hosts)
            raise InvalidInput(f"Links to {url.host} are not followed here, only those to {allowed}.", *path)
    return url


def _origin(url: httpx2.URL) -> str:
    """The scheme, host and port, as people write them."""
    return f"{url.scheme}://{url.netloc.decode()}"


async def _addresses(links: Links, url: httpx2.URL, path: Sequence[str]) -> list[str]:
    """The addresses of a host. All of them are public, unless an operator said that this one need not be."""
    host, port = url.raw_host.decode(), url.port or PORTS[url.scheme]
    try:
        found = await asyncio.to_thread(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        found = []
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    may_be_private = _origin(url) in links.hosts
    if not addresses or not (may_be_private or all(map(is_public, addresses))):
        # Nobody is told which: it would be a map of the names inside.
        raise InvalidInput(
            f"{url.host} is unknown, or is not on the public internet. Check the link, or upload the file instead.",
            *path,
        )
    return addresses[:MOST_ADDRESSES]


PROTOCOLS = ipaddress.ip_network("192.0.0.0/24")
RELAYS = ipaddress.ip_network("192.88.99.0/24")


def is_public(text: str) -> bool:
    """Whether an address is one of the public internet, and no other address is hidden in it."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            address = address.ipv4_mapped
        elif address.sixtofour or address.teredo or address.is_site_local:
            return False
    if isinstance(address, ipaddress.IPv4Address) and (address in PROTOCOLS or address in RELAYS):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


async def _get(client: httpx2.AsyncClient, url: httpx2.URL, addresses: Sequence[str]) -> httpx2.Response:
    """The answer from the first address that can be connected to. The certificate is the one of the name."""
    for number, address in enumerate(addresses, start=1):
        request = client.build_request(
            "GET",
            url.copy_with(host=address, fragment=None),
            headers={"host": url.netloc.decode()},
            extensions={"sni_hostname": url.raw_host.decode()},
        )
        try:
            return await client.send(request, stream=True, follow_redirects=False)
        except httpx2.ConnectError:
            if number == len(addresses):
                raise
    raise AssertionError


def _check_answer(response: httpx2.Response, most_bytes: int, path: Sequence[str]) -> None:
    if response.status_code != httpx2.codes.OK:
        raise InvalidInput(f"The link answers with status {response.status_code}. {INSTEAD}", *path)
    if response.headers.get("content-encoding", "identity") != "identity":
        raise InvalidInput("The link answers with something compressed. Upload the file instead.", *path)
    announced = response.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > most_bytes:
        raise _too_large(most_bytes, path)


async def _pieces(response: httpx2.Response, most_bytes: int, path: Sequence[str]) -> AsyncIterator[bytes]:
    size = 0
    async for piece in response.aiter_raw(PIECE_BYTES):
        size += len(piece)
        if size > most_bytes:
            raise _too_large(most_bytes, path)
        yield piece


def _too_large(most_bytes: int, path: Sequence[str]) -> InvalidInput:
    return InvalidInput(f"What is at the link is too large: {most_bytes} bytes are allowed.", *path)


def _name(url: httpx2.URL, response: httpx2.Response) -> str:
    """The last part of the path. Where its ending says nothing, the media type that was told says what it is."""
    name = unquote(PurePosixPath(url.path).name) or url.host
    if PurePosixPath(name).suffix.lower() in SUPPORTED:
        return name
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return name + ENDINGS.get(media_type, "")
