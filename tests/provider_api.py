"""What a fake provider keeps, and the part of OpenAI's API that it speaks. Nothing here goes wrong by itself."""

import fnmatch
import hashlib
import json
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from operator import itemgetter
from typing import Any, TypeVar
from uuid import uuid4

Json = dict[str, Any]
Kept = TypeVar("Kept", "File", "Store", "Member")
WORD = re.compile(r"\w+")
LONGEST_TEXT = 2_000_000


class ApiError(Exception):
    """An answer that says no, as OpenAI words it."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: str | float | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.headers = {} if retry_after is None else {"retry-after": str(retry_after)}

    @property
    def body(self) -> Json:
        return {
            "error": {
                "message": self.message,
                "type": "invalid_request_error",
                "param": self.param,
                "code": self.code,
            }
        }


class NoSuchPath(Exception):
    """The server does not have this part of the API."""


@dataclass
class File:
    id: str
    name: str
    size: int
    sha256: str
    text: str
    created_at: int = field(default_factory=lambda: int(time.time()))

    @property
    def shown(self) -> Json:
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.size,
            "created_at": self.created_at,
            "filename": self.name,
            "purpose": "assistants",
            "status": "processed",
        }


@dataclass
class Member:
    """A file in a store. polls: how often one has to look until it is read."""

    id: str
    store_id: str
    polls: float
    error: str | None
    attributes: Json
    created_at: int = field(default_factory=lambda: int(time.time()))

    @property
    def status(self) -> str:
        if self.polls > 0:
            return "in_progress"
        return "failed" if self.error else "completed"

    @property
    def shown(self) -> Json:
        failed = self.status == "failed"
        return {
            "id": self.id,
            "object": "vector_store.file",
            "created_at": self.created_at,
            "usage_bytes": 0,
            "vector_store_id": self.store_id,
            "status": self.status,
            "last_error": {"code": self.error, "message": "The file could not be processed."} if failed else None,
            "attributes": self.attributes,
        }


@dataclass
class Store:
    id: str
    name: str
    metadata: dict[str, str]
    members: dict[str, Member] = field(default_factory=dict)
    batches: dict[str, list[str]] = field(default_factory=dict)
    created_at: int = field(default_factory=lambda: int(time.time()))

    def counts(self, file_ids: Iterable[str] | None = None) -> dict[str, int]:
        """How many of these files are how far; of all, unless told."""
        wanted = self.members if file_ids is None else [each for each in file_ids if each in self.members]
        found = Counter(self.members[each].status for each in wanted)
        return {"total": found.total()} | {
            each: found[each] for each in ("in_progress", "completed", "failed", "cancelled")
        }

    @property
    def shown(self) -> Json:
        counts = self.counts()
        return {
            "id": self.id,
            "object": "vector_store",
            "created_at": self.created_at,
            "name": self.name,
            "usage_bytes": 0,
            "file_counts": counts,
            "status": "in_progress" if counts["in_progress"] else "completed",
            "metadata": self.metadata,
            "last_active_at": self.created_at,
        }

    def batch(self, batch_id: str) -> Json:
        if batch_id not in self.batches:
            raise ApiError(404, f"No such File Batch: '{batch_id}'.")
        counts = self.counts(self.batches[batch_id])
        return {
            "id": batch_id,
            "object": "vector_store.file_batch",
            "created_at": self.created_at,
            "vector_store_id": self.id,
            "status": "in_progress" if counts["in_progress"] else "completed",
            "file_counts": counts,
        }


def words(text: str) -> set[str]:
    return {each.lower() for each in WORD.findall(text)}


def chunks(text: str) -> list[str]:
    """The paragraphs of a text."""
    return [each.strip() for each in re.split(r"\n\s*\n", text) if each.strip()]


class Account:
    """What is at the provider. All of it can be looked at, and set, by a test.

    files, stores, responses: by id, the oldest first. attachments: (store, file), as often as it was asked for.
    indexing_polls: how often one has to look until a file is read. answerer: what is said to a request, given the
    passages that fit; unless set, the best passage is quoted. cited: which of the passages is.

    What other servers lack: file batches, search, usage, parameters that they ignore, models that are gone or refuse a
    temperature. most_in_batch: the rest is left out without a word. internal_citation_ids: passages and citations have
    ids of files that nobody else knows. no_final_output: a stream does not repeat its words at its end.
    """

    def __init__(self, key: str = "sk-fake") -> None:
        self.key = key
        self.files: dict[str, File] = {}
        self.stores: dict[str, Store] = {}
        self.responses: dict[str, Json] = {}
        self.attachments: list[tuple[str, str]] = []
        self.indexing_polls: float = 0
        self.answerer: Callable[[Json, Sequence[Json]], str] | None = None
        self.cited = 0
        self.no_file_batches = False
        self.no_search = False
        self.no_usage = False
        self.files_param_ignored = False
        self.order_ignored = False
        self.after_ignored = False
        self.include_ignored = False
        self.no_final_output = False
        self.most_in_batch: int | None = None
        self.internal_citation_ids = False
        self.models_without_temperature: set[str] = set()
        self.models_that_are_gone: set[str] = set()
        self._unreadable: list[tuple[str, str]] = []
        self._every: tuple[int, str] | None = None
        self._never: list[str] = []
        self._attached = count(1)

    def unreadable(self, name: str, code: str = "unsupported_file") -> None:
        """Let files whose name matches fail to be read. name: with `*` for anything."""
        self._unreadable.append((name, code))

    def every_unreadable(self, nth: int, code: str = "server_error") -> None:
        """Let every nth file that is put into a store fail to be read."""
        self._every = (nth, code)

    def never_read(self, name: str) -> None:
        """Let files whose name matches stay in progress for ever. name: with `*` for anything."""
        self._never.append(name)

    def readable(self) -> None:
        """Let all files that are put into stores from now on be read."""
        self._unreadable, self._every, self._never = [], None, []

    def live(self) -> set[tuple[str, str]]:
        """What there is: ("file" or "store", id)."""
        return {("file", each) for each in self.files} | {("store", each) for each in self.stores}

    def held(self, store_id: str) -> set[str]:
        """The names of the files that a store holds, and that can be searched."""
        members = self.stores[store_id].members.values()
        return {self.files[each.id].name for each in members if each.status == "completed"}

    def attached_twice(self) -> set[tuple[str, str]]:
        """What was put into a store though it was there."""
        return {each for each, times in Counter(self.attachments).items() if times > 1}

    # Files

    def put_file(self, name: str, size: int, sha256: str, beginning: bytes) -> Json:
        if size == 0:
            raise ApiError(400, "File is empty.", param="file")
        file = File(f"file-{uuid4().hex}", name, size, sha256, _text(beginning))
        self.files[file.id] = file
        return file.shown

    def list_files(self, query: dict[str, str]) -> Json:
        return self._page(self.files.values(), query, 10_000)

    def file(self, file_id: str) -> File:
        if file_id not in self.files:
            raise ApiError(404, f"No such File object: {file_id}", param="id")
        return self.files[file_id]

    def delete_file(self, file_id: str) -> Json:
        del self.files[self.file(file_id).id]
        for store in self.stores.values():
            self._detach(store, file_id)
        return {"id": file_id, "object": "file", "deleted": True}

    # Stores

    def make_store(self, body: Json) -> Json:
        metadata = body.get("metadata") or {}
        if len(metadata) > 16:
            raise ApiError(400, "Too many metadata properties. Expected at most 16.", param="metadata")
        store = Store(f"vs_{uuid4().hex}", body.get("name") or "", metadata)
        self.stores[store.id] = store
        return store.shown

    def list_stores(self, query: dict[str, str]) -> Json:
        return self._page(self.stores.values(), query, 100)

    def store(self, store_id: str) -> Store:
        if store_id not in self.stores:
            raise ApiError(404, f"Vector store with id '{store_id}' not found.", param="vector_store_id")
        return self.stores[store_id]

    def delete_store(self, store_id: str) -> Json:
        store = self.store(store_id)
        for file_id in list(store.members):
            self._detach(store, file_id)
        del self.stores[store.id]
        return {"id": store_id, "object": "vector_store.deleted", "deleted": True}

    def attach(self, store_id: str, body: Json) -> Json:
        return self._attach(self.store(store_id), self.file(body["file_id"]), body.get("attributes")).shown

    def attach_batch(self, store_id: str, body: Json) -> Json:
        if self.no_file_batches:
            raise NoSuchPath
        store = self.store(store_id)
        wanted = [{"file_id": each} for each in body.get("file_ids", [])]
        if not self.files_param_ignored:
            wanted += body.get("files", [])
        if len(wanted) > 2_000:
            raise ApiError(400, "Invalid 'file_ids': array too long.", param="file_ids")
        if not wanted and not body.get("files"):
            raise ApiError(400, "Invalid 'file_ids': array too short.", param="file_ids")
        for each in wanted:
            self.file(each["file_id"])
        wanted = wanted[: self.most_in_batch]
        for each in wanted:
            self._attach(store, self.file(each["file_id"]), each.get("attributes"))
        batch_id = f"vsfb_{uuid4().hex}"
        store.batches[batch_id] = [each["file_id"] for each in wanted]
        return store.batch(batch_id)

    def batch(self, store_id: str, batch_id: str) -> Json:
        if self.no_file_batches:
            raise NoSuchPath
        store = self.store(store_id)
        self._read_on(store)
        return store.batch(batch_id)

    def list_members(self, store_id: str, query: dict[str, str]) -> Json:
        store = self.store(store_id)
        if "after" not in query:
            self._read_on(store)
        return self._page(store.members.values(), query, 100)

    def member(self, store_id: str, file_id: str) -> Member:
        members = self.store(store_id).members
        if file_id not in members:
            raise ApiError(404, f"No file found with id '{file_id}' in vector store '{store_id}'.")
        return members[file_id]

    def detach(self, store_id: str, file_id: str) -> Json:
        self._detach(self.store(store_id), self.member(store_id, file_id).id)
        return {"id": file_id, "object": "vector_store.file.deleted", "deleted": True}

    def search(self, store_id: str, body: Json) -> Json:
        if self.no_search:
            raise NoSuchPath
        most = body.get("max_num_results", 10)
        if not 1 <= most <= 50:
            raise ApiError(400, "Invalid 'max_num_results'.", param="max_num_results")
        query = body["query"] if isinstance(body["query"], str) else " ".join(body["query"])
        found = [
            {
                "file_id": each["file_id"],
                "filename": each["filename"],
                "score": each["score"],
                "attributes": each["attributes"],
                "content": [{"type": "text", "text": each["text"]}],
            }
            for each in self.passages([store_id], query, most)
        ]
        return {
            "object": "vector_store.search_results.page",
            "search_query": [query],
            "data": found,
            "has_more": False,
            "next_page": None,
        }

    def passages(self, store_ids: Iterable[str], query: str, most: int) -> list[Json]:
        """The paragraphs that share most words with the query."""
        asked = words(query)
        held = [member for each in store_ids for member in self.store(each).members.values()]
        found = [
            {
                "file_id": self._cited(member.id),
                "filename": self.files[member.id].name,
                "score": round(len(shared) / len(asked), 4),
                "attributes": member.attributes,
                "text": chunk,
            }
            for member in held
            if member.status == "completed"
            for chunk in chunks(self.files[member.id].text)
            if (shared := asked & words(chunk))
        ]
        return sorted(found, key=itemgetter("score"), reverse=True)[:most]

    # Responses

    def respond(self, body: Json) -> Json:
        """Keep a response to this request, and return it as it is when it is whole."""
        model = body["model"]
        if model in self.models_that_are_gone:
            raise ApiError(404, f"The model `{model}` does not exist.", code="model_not_found")
        if "temperature" in body and model in self.models_without_temperature:
            raise ApiError(
                400,
                "Unsupported parameter: 'temperature' is not supported with this model.",
                code="unsupported_parameter",
                param="temperature",
            )
        said = body["input"] if isinstance(body["input"], str) else body["input"][-1]["content"]
        tools = [each for each in body.get("tools", []) if each["type"] == "file_search"]
        found = [
            passage
            for tool in tools
            for passage in self.passages(tool["vector_store_ids"], said, tool.get("max_num_results", 20))
        ]
        text = self.answerer(body, found) if self.answerer else _quote(found)
        spoken, most = text.split(" "), body.get("max_output_tokens") or math.inf
        is_whole = len(spoken) <= most
        text = text if is_whole else " ".join(spoken[: int(most)])
        output: list[Json] = []
        if tools:
            shown = "file_search_call.results" in (body.get("include") or []) and not self.include_ignored
            output.append(
                {
                    "id": f"fs_{uuid4().hex}",
                    "type": "file_search_call",
                    "status": "completed",
                    "queries": [said],
                    "results": found if shown else None,
                }
            )
        cited = [{"type": "file_citation", "index": len(text), **_citation(each)} for each in found[self.cited :][:1]]
        output.append(
            {
                "id": f"msg_{uuid4().hex}",
                "type": "message",
                "role": "assistant",
                "status": "completed" if is_whole else "incomplete",
                "content": [{"type": "output_text", "text": text, "annotations": cited, "logprobs": []}],
            }
        )
        response: Json = {
            "id": f"resp_{uuid4().hex}",
            "object": "response",
            "created_at": int(time.time()),
            "status": "completed" if is_whole else "incomplete",
            "error": None,
            "incomplete_details": None if is_whole else {"reason": "max_output_tokens"},
            "instructions": body.get("instructions"),
            "metadata": body.get("metadata") or {},
            "model": model,
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": body.get("tools", []),
            "temperature": body.get("temperature"),
        }
        if not self.no_usage:
            given, written = len(json.dumps(body["input"]).split()), len(text.split(" "))
            response["usage"] = {
                "input_tokens": given,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": written,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": given + written,
            }
        self.responses[response["id"]] = response
        return response

    def response(self, response_id: str) -> Json:
        if response_id not in self.responses:
            raise ApiError(404, f"Response with id '{response_id}' not found.")
        return self.responses[response_id]

    def events(self, response: Json) -> list[Json]:
        """What is streamed of a response, a word at a time."""
        begun = {**response, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
        events: list[Json] = [
            {"type": "response.created", "response": begun},
            {"type": "response.in_progress", "response": begun},
        ]
        for index, item in enumerate(response["output"]):
            where = {"output_index": index, "item_id": item["id"]}
            is_search = item["type"] == "file_search_call"
            bare = {**item, "status": "in_progress", **({"results": None} if is_search else {"content": []})}
            events.append({"type": "response.output_item.added", "output_index": index, "item": bare})
            if is_search:
                events += [
                    {"type": f"response.file_search_call.{each}", **where}
                    for each in ("in_progress", "searching", "completed")
                ]
            else:
                (part,) = item["content"]
                where["content_index"] = 0
                empty = {**part, "text": "", "annotations": []}
                events.append({"type": "response.content_part.added", **where, "part": empty})
                events += [
                    {"type": "response.output_text.delta", **where, "delta": each, "logprobs": []}
                    for each in re.findall(r"\S+\s*|\s+", part["text"])
                ]
                events += [
                    {
                        "type": "response.output_text.annotation.added",
                        **where,
                        "annotation_index": at,
                        "annotation": each,
                    }
                    for at, each in enumerate(part["annotations"])
                ]
                events.append({"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []})
                events.append({"type": "response.content_part.done", **where, "part": part})
            events.append({"type": "response.output_item.done", "output_index": index, "item": item})
        whole = {**response, "output": []} if self.no_final_output else response
        events.append({"type": f"response.{response['status']}", "response": whole})
        return events

    def _attach(self, store: Store, file: File, attributes: Json | None) -> Member:
        self.attachments.append((store.id, file.id))
        if file.id in store.members:
            return store.members[file.id]
        never = any(fnmatch.fnmatch(file.name, each) for each in self._never)
        error = next((code for name, code in self._unreadable if fnmatch.fnmatch(file.name, name)), None)
        number = next(self._attached)
        if self._every and number % self._every[0] == 0:
            error = error or self._every[1]
        member = Member(file.id, store.id, math.inf if never else self.indexing_polls, error, attributes or {})
        store.members[file.id] = member
        return member

    def _detach(self, store: Store, file_id: str) -> None:
        if store.members.pop(file_id, None):
            self.attachments = [each for each in self.attachments if each != (store.id, file_id)]

    @staticmethod
    def _read_on(store: Store) -> None:
        for member in store.members.values():
            member.polls = max(0, member.polls - 1)

    def _cited(self, file_id: str) -> str:
        return hashlib.sha256(file_id.encode()).hexdigest()[:24] if self.internal_citation_ids else file_id

    def _page(self, kept: Iterable[Kept], query: dict[str, str], most: int) -> Json:
        items = sorted(kept, key=lambda each: each.created_at)
        if query.get("order", "desc") == "desc" and not self.order_ignored:
            items.reverse()
        if (after := query.get("after")) and not self.after_ignored:
            ids = [each.id for each in items]
            if after not in ids:
                raise ApiError(404, f"No such object: {after}", param="after")
            items = items[ids.index(after) + 1 :]
        limit = min(int(query.get("limit", most)), most)
        page = [each.shown for each in items[:limit]]
        return {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": len(items) > limit,
        }


def _citation(passage: Json) -> Json:
    return {"file_id": passage["file_id"], "filename": passage["filename"]}


def _quote(found: Sequence[Json]) -> str:
    return f"According to {found[0]['filename']}: {found[0]['text']}" if found else "I found nothing about that."


def _text(content: bytes) -> str:
    try:
        return content[:LONGEST_TEXT].decode(errors="strict" if len(content) <= LONGEST_TEXT else "ignore")
    except UnicodeDecodeError:
        return ""
