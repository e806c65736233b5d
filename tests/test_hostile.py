"""What strangers can send to a gateway on the internet. It is served in a process of its own, whose memory is told."""

import base64
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import quote, urlsplit

import psutil
import pytest

from tests.test_process import started

SOON = 0.5
"""How long a refusal, and a normal client beside it, may take, in seconds."""
TRIES = 3
"""How often a slow one is tried: the machine may have been busy. What is really slow is so each time."""
MOST_GROWTH = 100_000_000
BODY_TIMEOUT = 0.2

NORMAL = "{ clones(first: 3) { nodes { id name } } }"


@dataclass(frozen=True)
class Server:
    address: str
    process: psutil.Process
    memory_at_start: int

    @property
    def host(self) -> tuple[str, int]:
        url = urlsplit(self.address)
        return url.hostname or "", url.port or 0

    @property
    def memory(self) -> int:
        return int(self.process.memory_info().rss)

    @property
    def growth(self) -> int:
        """How much more memory it takes than at the start."""
        return self.memory - self.memory_at_start


@dataclass(frozen=True)
class Reply:
    """What came back. status: 0 when the connection was closed without an answer."""

    status: int
    body: bytes

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in json.loads(self.body)["errors"]]


Attack = Callable[[Server], Reply]


def raw(*pieces: bytes, pause: float = 0) -> Attack:
    """Bytes on a connection, piece by piece."""

    def attack(server: Server) -> Reply:
        with socket.create_connection(server.host, timeout=10) as connection:
            try:
                for piece in pieces:
                    connection.sendall(piece)
                    time.sleep(pause)
            except OSError:
                pass  # refused before all of it was sent
            return read(connection)

    return attack


def read(connection: socket.socket) -> Reply:
    """The answer on a connection."""
    received = b""
    try:
        while b"\r\n\r\n" not in received:
            if not (piece := connection.recv(65536)):
                return Reply(0, received)
            received += piece
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        while len(body) < length and (piece := connection.recv(65536)):
            body += piece
    except ConnectionError:
        return Reply(0, received)
    return Reply(int(head.split(b" ")[1]), body)


def head(*headers: str, method: str = "POST", path: str = "/graphql") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Accept: application/graphql-response+json", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def body(content: bytes | str, *headers: str, content_type: str = "application/json") -> Attack:
    content = content.encode() if isinstance(content, str) else content
    return raw(head(f"Content-Type: {content_type}", f"Content-Length: {len(content)}", *headers) + content)


def parameters(**given: object) -> Attack:
    return body(json.dumps({"query": NORMAL} | given))


def document(text: str, **variables: object) -> Attack:
    return parameters(query=text, variables=variables)


def address(query: str, *headers: str) -> Attack:
    return raw(head(*headers, method="GET", path=f"/graphql?{query}"))


def times(number: int, each: Callable[[int], str]) -> str:
    return " ".join(map(each, range(number)))


def chain(number: int, link: Callable[[str], str], end: str, on: str = "Query") -> str:
    """Fragments F0 to Fn, each made of the next one."""
    links = times(number, lambda i: f"fragment F{i} on {on} {{ {link(f'...F{i + 1}')} }}")
    return f"{links} fragment F{number} on {on} {{ {end} }}"


def nested(depth: int, start: str, end: str, middle: str) -> str:
    return start * depth + middle + end * depth


IDS = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
WHERE = "query($where: CloneFilter) { clones(where: $where) { nodes { id } } }"
INTO_CLONES = "domain { clones(first: 100) { nodes { %s } } }"

DOCUMENTS: dict[str, Attack] = {
    "a bomb of fragments, each used twice": document("{ ...F0 }" + chain(60, lambda f: f"{f} {f}", "viewer { id }")),
    "the same with a field between": document(
        "{ node(id: 1) { ...F0 } }"
        + chain(30, lambda f: f"domain {{ clones {{ nodes {{ {f} {f} }} }} }}", "id", on="Clone")
    ),
    "the same with aliases": document(
        "{ ...F0 }" + chain(30, lambda f: f"a: clone(id: 1) {{ id }} {f} b: clone(id: 1) {{ id }} {f}", "__typename")
    ),
    "the same over an interface": document(
        "{ node(id: 1) { ...F0 } }"
        + chain(
            25,
            lambda f: f"... on Clone {{ domain {{ {f} }} {f} }} ... on Domain {{ clones {{ nodes {{ {f} }} }} {f} }}",
            "id",
            on="Node",
        )
    ),
    "ten thousand fragments": document("{ ...F0 }" + chain(10_000, str, "__typename")),
    "two hundred fragments in a row": document("{ ...F0 }" + chain(200, str, "__typename")),
    "two hundred fragments that nobody uses": document(
        NORMAL + times(201, lambda i: f"fragment F{i} on Query {{ a }}")
    ),
    "a fragment within itself": document("{ ...F } fragment F on Query { ...F viewer { id } }"),
    "fragments in a circle": document(
        "{ ...A } fragment A on Query { ...B ...B } fragment B on Query { ...C } fragment C on Query { ...A ...A }"
    ),
    "each fragment within each other": document(
        "{ ...F0 }" + times(25, lambda i: f"fragment F{i} on Query {{ {times(25, lambda j: f'...F{j}')} }}")
    ),
    "a thousand aliases": document(f"{{ {times(600, lambda i: f'a{i}: clones {{ totalCount }}')} }}"),
    "fifty-one aliases": document(f"{{ {times(51, lambda i: f'a{i}: __typename')} }}"),
    "two hundred directives": document(f"{{ {times(200, lambda i: 'viewer @include(if: true) { id }')} }}"),
    "a thousand directives of no name": document(f"{{ __typename {'@a' * 900} }}"),
    "directives on directives' variables": document(
        f"query({times(300, lambda i: f'$v{i}: Int @a')}) {{ __typename }}"
    ),
    "four hundred variables": document(f"query({times(400, lambda i: f'$v{i}: Int')}) {{ __typename }}"),
    "four hundred operations": document(times(400, lambda i: f"query Q{i} {{ __typename }}")),
    "six hundred operations without a name": document(times(600, lambda i: "{ a }")),
    "fields nested 13 deep": document(
        "{ clone(id: 1) " + nested(6, "{ creator { clones(first: 1) { nodes ", "} } }", "{ id }") + " }"
    ),
    "braces nested ten thousand deep": document("{a" * 10_000),
    "braces nested 190 deep": document(nested(190, "{ a ", "}", "")),
    "inline fragments nested 190 deep": document("{" + nested(180, "... {", "}", "a") + "}"),
    "inline fragments nested a thousand deep": document("{" + nested(1000, "... {", "}", "__typename") + "}"),
    "a list nested ten thousand deep": document("{ clones(first: " + "[" * 10_000),
    "a list nested 150 deep": document("{ clones(first: " + nested(150, "[", "]", "1") + ") { totalCount } }"),
    "objects nested 100 deep": document("{ clones(where: " + nested(100, "{not: ", "}", "{}") + ") { totalCount } }"),
    "a filter nested 60 deep": document(
        "{ clones(where: " + nested(60, "{or: [{and: [", "]}]}", "{}") + ") { totalCount } }"
    ),
    "a filter of three thousand conditions": document(WHERE, where={"or": [{"name": {"eq": "a"}}] * 3_000}),
    "a filter of 1,600 conditions": document(WHERE, where={"or": [{"name": {"eq": "a"}}] * 1_600}),
    "a filter nested a thousand deep": document(WHERE, where=json.loads(nested(400, '{"not": ', "}", "{}"))),
    "an order of a thousand keys": document(
        "query($by: [CloneOrder!]) { clones(orderBy: $by) { nodes { id } } }", by=[{"field": "NAME"}] * 1_000
    ),
    "a page of a billion": document("{ clones(first: 1e9) { nodes { id } } }"),
    "a page of a billion in a variable": document(
        "query($n: Int) { clones(first: $n) { nodes { id } } }", n=1_000_000_000
    ),
    "a page of a billion billions": document("query($n: Int) { clones(first: $n) { nodes { id } } }", n=10**18),
    "a hundred million objects": document(
        "{ clones(first: 100) { nodes { "
        + "domain { clones(first: 100) { nodes { " * 3
        + "id"
        + " } } }" * 3
        + " } } }"
    ),
    "an integer of a million digits": document("{ clones(first: " + "1" * 90_000 + ") { totalCount } }"),
    "a float of a million digits": document("{ clones(first: 0." + "1" * 90_000 + ") { totalCount } }"),
    "a filter of 2,000 nots": document(WHERE, where={"or": [{"not": {"not": {"not": {"name": {"eq": "a"}}}}}] * 1_900}),
    "a filter of a thousand conditions, written out": document(
        "{ clones(where: {or: [" + times(190, lambda i: '{name: {eq: "a"}}') + "]}) { nodes { id } } }"
    ),
    "a cursor of 900,000 characters": document(
        "query($after: String) { clones(after: $after) { nodes { id } } }", after="W1sx" * 200_000
    ),
    "a cursor of brackets": document(
        "query($after: String) { clones(after: $after) { nodes { id } } }",
        after=base64.b64encode(b"[" * 300_000).decode(),
    ),
    "words by the hundred thousand to search for": document(
        "query($words: String) { clones(search: $words) { nodes { id } } }", words="a or " * 100_000
    ),
    "a pattern of 900,000 characters": document(WHERE, where={"name": {"contains": "%_a" * 300_000}}),
    "a hundred and one ids": document(IDS, ids=["clone_" + "0" * 32] * 101),
    "a hundred thousand ids": document(IDS, ids=["a"] * 100_000),
    "ids that are no ids": document(IDS, ids=["\x00", "'; DROP TABLE clones; --", "clone_" + "f" * 5_000]),
    "fields of the same name by the hundred": document("{" + "viewer { id } " * 490 + "}"),
    "fields of the same name that conflict": document("{ viewer {" + times(640, lambda i: f"a: f{i}") + "} }"),
    "fragments whose fields overlap": document(
        f"{{ {times(150, lambda i: f'...F{i}')} }}"
        + times(150, lambda i: f"fragment F{i} on Query {{ viewer {{ id }} }}")
    ),
    "inline fragments whose fields overlap": document(
        "{" + times(200, lambda i: "... on Query { viewer { id } }") + "}"
    ),
    "a schema in circles": document(
        "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }"
    ),
    "a schema in circles of fragments": document(
        "{ __schema { types { ...T } } } fragment T on __Type { fields { type { ...U } } }"
        " fragment U on __Type { fields { type { ...V } } } fragment V on __Type { fields { name } }"
    ),
    "a schema fifty times": document(
        "{" + times(50, lambda i: f"a{i}: __schema {{ types {{ fields {{ args {{ type {{ name }} }} }} }} }}") + "}"
    ),
    "a type within a type 180 deep": document("{ __type(name: 1) {" + nested(180, "ofType {", "}", "name") + "} }"),
    "unknown fields by the thousand": document("{" + times(1_900, lambda i: f"clonez{i}") + "}"),
    "an unknown field with a long name": document("{ clone" + "z" * 90_000 + " }"),
    "unknown arguments by the hundred": document("{ clones(" + times(600, lambda i: f"clone{i}: 1") + ") { a } }"),
    "a text of nothing but lines": document("\n" * 90_000 + "{ a b c d e f g h i j }"),
    "a text of ten megabytes in tokens": document("a " * 400_000),
    "a string of a million characters": document('{ clones(search: "' + "x" * 900_000 + '") { totalCount } }'),
    "a block string of many lines": document('{ clones(search: """' + " x\n" * 30_000 + '""" a) { totalCount } }'),
    "a string that does not end": document('{ clones(search: "' + "x" * 90_000),
    "a string of escapes that are none": document('{ clones(search: "' + "\\u00" * 10_000 + '") { totalCount } }'),
    "a string with half a character": document('{ clones(search: "\\uD800") { totalCount } }'),
    "a string with a null in it": document('{ clones(where: {name: {eq: "\\u0000"}}) { nodes { id } } }'),
    "comments only": document("# nothing\n" * 1_000),
    "nothing but spaces": document(" \t\n," * 10_000),
    "an empty document": document(""),
    "a byte order mark and nothing else": document("\ufeff"),
    "a null byte": document("{ viewer { id\x00 } }"),
    "another script": document("{ viewer { \uff49\uff44 } }"),
    "a schema instead of an operation": document("type Query { a: Int } extend schema { query: Query }"),
}
"""Documents, and variables for them."""

BODIES: dict[str, Attack] = {
    "no body": body(""),
    "a byte order mark": body(b"\xef\xbb\xbf" + json.dumps({"query": NORMAL}).encode()),
    "null bytes": body(b"\x00" * 1_000),
    "invalid UTF-8": body(b'{"query": "\xff\xfe"}'),
    "half a character": body('{"query": "\\ud800"}'),
    "UTF-16": body(json.dumps({"query": NORMAL}).encode("utf-16")),
    "broken JSON": body('{"query": "{ viewer { id } }"'),
    "JSON nested two hundred thousand deep": body("[" * 200_000),
    "variables nested a thousand deep": body(f'{{"query": "{NORMAL}", "variables": {nested(1000, "[", "]", "")}}}'),
    "variables nested five hundred deep": body(
        f'{{"query": "{NORMAL}", "variables": {{"a": {nested(500, "[", "]", "")}}}}}'
    ),
    "a hundred thousand variables": parameters(variables={f"v{i}": i for i in range(50_000)}),
    "an integer of 900,000 digits": body(
        f'{{"query": "query($n: Int) {{ clones(first: $n) {{ totalCount }} }}", "variables": {{"n": {"1" * 900_000}}}}}'
    ),
    "a number beyond all bounds": body(
        '{"query": "query($n: Int) { clones(first: $n) { totalCount } }", "variables": {"n": 1e999}}'
    ),
    "NaN": body('{"query": "query($n: Int) { clones(first: $n) { totalCount } }", "variables": {"n": NaN}}'),
    "the same key twice": body('{"query": "{ viewer { id } }", "query": "{ nothing }"}'),
    "a list of requests": body(json.dumps([{"query": NORMAL}] * 1_000)),
    "a string": body('"{ viewer { id } }"'),
    "a number": body("1"),
    "query that is a number": parameters(query=7),
    "query that is a list": parameters(query=[NORMAL]),
    "query that is an object": parameters(query={"kind": "Document"}),
    "variables that are a list": parameters(variables=[1]),
    "variables that are a string": parameters(variables="{}"),
    "operationName that is a number": parameters(operationName=7),
    "operationName of 100,000 characters": parameters(operationName="a" * 100_000),
    "operationName that is not there": parameters(operationName="__proto__"),
    "extensions that are a number": parameters(extensions=7),
    "a hash that is a list": parameters(extensions={"persistedQuery": {"version": 1, "sha256Hash": []}}),
    "a hash of another document": parameters(extensions={"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}),
    "an id of a document that is a list": parameters(documentId=[]),
    "an id of a document that is a megabyte": body(json.dumps({"documentId": "a" * 900_000})),
    "an id of a document with a null in it": body(json.dumps({"documentId": "a\x00"})),
    "gzip garbage": body(b"\x1f\x8b\x08garbage", "Content-Encoding: gzip"),
    "an encoding that nobody knows": body(b"garbage", "Content-Encoding: x-bomb, gzip, gzip"),
    "another content type": body(NORMAL, content_type="application/graphql"),
    "a content type of 10,000 characters": body(NORMAL, content_type="a/" + "b" * 10_000),
    "a form": body("query=%7Bviewer%7Bid%7D%7D", content_type="application/x-www-form-urlencoded"),
    "a form with files from another page": body("--x--", content_type="multipart/form-data; boundary=x"),
    "a form with files and no end": body(
        b"--x\r\nContent-Disposition: form-data; name=operations\r\n\r\n{",
        "GraphQL-Require-Preflight: 1",
        content_type="multipart/form-data; boundary=x",
    ),
    "a form with files and no boundary": body(
        b"--x--", "GraphQL-Require-Preflight: 1", content_type="multipart/form-data"
    ),
    "a token that is none": body(json.dumps({"query": NORMAL}), "Authorization: Bearer " + "a." * 5_000),
    "a token of no algorithm": body(
        json.dumps({"query": NORMAL}), "Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."
    ),
    "an Accept of a thousand ranges": raw(
        head(method="GET").replace(b"application/graphql-response+json", b"text/x;q=0.1," * 1_000)
    ),
}
"""Bodies and headers of a POST."""

CONNECTIONS: dict[str, Attack] = {
    "a body that is larger than allowed": raw(
        head("Content-Type: application/json", "Content-Length: 2000000"), b" " * 2_000_000
    ),
    "a body that says it has a terabyte": raw(head("Content-Type: application/json", f"Content-Length: {10**12}")),
    "a body of negative length": raw(head("Content-Type: application/json", "Content-Length: -1") + b"{}"),
    "a body of two lengths": raw(
        head("Content-Type: application/json", "Content-Length: 2", "Content-Length: 20") + b"{}" * 10
    ),
    "a body in chunks that is larger than allowed": raw(
        head("Content-Type: application/json", "Transfer-Encoding: chunked"),
        *[b"10000\r\n" + b" " * 65_536 + b"\r\n"] * 30,
    ),
    "a body in chunks that ends in the middle": raw(
        head("Content-Type: application/json", "Transfer-Encoding: chunked"), b'10\r\n{"quer', pause=0.05
    ),
    "a chunk of no size": raw(head("Content-Type: application/json", "Transfer-Encoding: chunked") + b"xyz\r\n{}"),
    "a chunk with an endless comment": raw(
        head("Content-Type: application/json", "Transfer-Encoding: chunked"), b"1;" + b"a" * 100_000
    ),
    "a body that never comes": raw(head("Content-Type: application/json", "Content-Length: 10")),
    "a body that comes byte by byte": raw(
        head("Content-Type: application/json", "Content-Length: 100"), *[b" "] * 5, pause=BODY_TIMEOUT / 4
    ),
    "a head that never ends": raw(b"POST /graphql HTTP/1.1\r\nHost: a\r\n"),
    "a request that is none": raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "a version that is none": raw(b"POST /graphql HTTP/9.9\r\nHost: a\r\n\r\n"),
    "a method that is none": raw(b"HACK /graphql HTTP/1.1\r\nHost: a\r\n\r\n"),
    "an address of 100,000 characters": address("query=" + "a" * 100_000),
    "an address of 20,000 characters": address("query=" + "a" * 20_000),
    "an address with a broken escape": address("query=%zz%"),
    "an address with half a character": address("query=%ff%fe"),
    "an address with ten thousand parameters": address("a=1&" * 3_900),
    "an address with two queries": address(f"query={quote(NORMAL)}&query={quote('{')}"),
    "variables in the address that are none": address(f"query={quote(NORMAL)}&variables={quote('[' * 1_000)}"),
    "a mutation in the address": address(f"query={quote('mutation { __typename }')}"),
    "headers of 100,000 characters": address(f"query={quote(NORMAL)}", "X-A: " + "a" * 100_000),
    "a thousand headers": address(f"query={quote(NORMAL)}", *(f"X-{i}: {'a' * 50}" for i in range(1_000))),
    "a header with a line of its own": address("query={", "GraphQL-Client-Name: a\r\nX-A: b\r\n\r\nGET / HTTP/1.1"),
    "a header with a null": address("query={", "GraphQL-Client-Name: a\x00b"),
    "a path out of the house": raw(head(method="GET", path="/explorer/assets/../../../../etc/passwd")),
}
"""What a client can do with a connection."""

TABLE = DOCUMENTS | BODIES | CONNECTIONS


@pytest.fixture(scope="module")
def server(demo_database: str) -> Iterator[Server]:
    settings = {
        "DATABASE_URL": demo_database,
        "JWT_SECRET": "a secret for the tests, long enough",
        "POINTS_CAPACITY": "1000000000",
        "BODY_TIMEOUT": str(BODY_TIMEOUT),
    }
    with started("serve", "--port", "0", **settings) as (process, address):
        assert process.stderr
        log = threading.Thread(target=process.stderr.read)  # or it would wait for somebody to read it
        log.start()
        fresh = Server(address, psutil.Process(process.pid), 0)
        ask(fresh)
        yield replace(fresh, memory_at_start=fresh.memory)
        process.terminate()
        log.join()


def ask(server: Server) -> float:
    """How long a normal client waits for its answer."""
    start = time.perf_counter()
    reply = document(NORMAL)(server)
    assert reply.status == 200, reply
    return time.perf_counter() - start


@dataclass
class Neighbour:
    """A normal client that asks again and again, beside the others. slowest: its longest wait, and at which time."""

    server: Server
    slowest: float = 0
    asked: int = 0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._stop.wait(0.01):
            self.slowest = max(self.slowest, ask(self.server))
            self.asked += 1


def complaint(name: str, reply: Reply, seconds: float) -> str | None:
    """What is wrong with an answer to a hostile request."""
    if seconds > SOON:
        return f"took {seconds:.2f} s"
    if reply.status == 0:
        return "was not answered"
    if reply.status not in (294, *range(400, 500)):
        return f"got {reply.status}: {reply.body[:200]!r}"
    if reply.body.startswith(b"{") and "INTERNAL" in reply.codes:
        return "was not foreseen"
    return None


def test_every_hostile_request_is_refused_quickly_beside_a_normal_client(server: Server) -> None:
    complaints: dict[str, str] = {}

    with Neighbour(server) as neighbour:
        for name, attack in TABLE.items():
            for _ in range(TRIES):
                neighbour.slowest = 0
                start = time.perf_counter()
                reply = attack(server)
                seconds = time.perf_counter() - start
                found = complaint(name, reply, seconds)
                if neighbour.slowest > SOON:
                    found = f"kept a normal client waiting for {neighbour.slowest:.2f} s"
                if found is None:
                    break
            if found:
                complaints[name] = found

    assert len(TABLE) >= 50
    assert complaints == {}
    assert neighbour.asked > 50
    assert server.growth < MOST_GROWTH


def test_many_idle_connections_do_not_keep_a_normal_client_waiting(server: Server) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(closing(socket.create_connection(server.host))) for _ in range(900)]
        for each in idle[::2]:
            each.sendall(b"POST /graphql HTTP/1.1\r\nHost: a\r\n")
        seconds = min(ask(server) for _ in range(TRIES))
        replies = [read(each).status for each in idle]

    assert seconds < SOON
    assert 408 in replies[::2]
    assert set(replies) <= {0, 408}
    assert server.growth < MOST_GROWTH


def test_a_hostile_crowd_is_refused_and_a_normal_client_is_not(server: Server) -> None:
    attacks = [
        DOCUMENTS["a bomb of fragments, each used twice"],
        DOCUMENTS["a hundred million objects"],
        BODIES["gzip garbage"],
    ]

    def crowd() -> None:
        for attack in attacks * 10:
            attack(server)

    threads = [threading.Thread(target=crowd) for _ in range(10)]
    for each in threads:
        each.start()
    waits = []
    while any(each.is_alive() for each in threads):
        waits.append(ask(server))
    for each in threads:
        each.join()

    assert sorted(waits)[len(waits) // 2] < SOON
    assert server.growth < MOST_GROWTH
