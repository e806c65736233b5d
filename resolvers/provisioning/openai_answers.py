"""What OpenAI's API tells of an answer: its events, while it is written, and the whole of it.

The SDK checks nothing of what it reads, and servers leave out what they like: only ids and words are relied upon.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from resolvers.provisioning.openai_errors import STRANGE, UNFINISHED, failure
from resolvers.provisioning.provider import Answer, Passage, ProviderAway


class News(NamedTuple):
    """What an event of a stream tells."""

    response_id: str | None = None
    words: str = ""
    answer: Answer | None = None


def read_event(event: Any) -> News:
    """What an event tells; None is the end of the stream. Raises ProviderError."""
    if event is None:
        raise ProviderAway(UNFINISHED)
    match event.type:
        case "response.output_text.delta" | "response.refusal.delta":
            return News(words=event.delta)
        case "response.completed" | "response.incomplete":
            answer = read_answer(event.response)
            return News(answer.response_id, answer=answer)
        case "response.failed":
            error = event.response.error
            raise failure(getattr(error, "code", None), getattr(error, "message", None))
        case "error":
            raise failure(event.code, event.message)
    response = getattr(event, "response", None)
    return News(read_id(response) if response else None)


def read_answer(response: Any) -> Answer:
    """A whole answer."""
    parts = [part for item in response.output if item.type == "message" for part in item.content]
    usage = getattr(response, "usage", None)
    return Answer(
        response_id=read_id(response),
        text="".join(part.refusal if part.type == "refusal" else part.text for part in parts),
        model=response.model,
        input_tokens=getattr(usage, "input_tokens", 0) or 0,
        output_tokens=getattr(usage, "output_tokens", 0) or 0,
        passages=_passages(response.output, parts),
        is_complete=response.status != "incomplete",
    )


def _passages(output: Sequence[Any], parts: Sequence[Any]) -> list[Passage]:
    """What was found, the cited files first. What is cited without its words is there without them."""
    cited = {
        (each.file_id, each.filename)
        for part in parts
        for each in getattr(part, "annotations", None) or []
        if each.type == "file_citation"
    }
    found: dict[tuple[str, str], Passage] = {}
    for item in output:
        for each in (getattr(item, "results", None) or []) if item.type == "file_search_call" else []:
            passage = Passage(each.file_id, each.filename, each.text, each.score)
            found.setdefault((passage.file_id, passage.text), passage)
    files = {(each.file_id, each.file_name) for each in found.values()}
    bare = [Passage(file_id, name or "", "", 0) for file_id, name in cited - files]
    return sorted([*found.values(), *bare], key=lambda each: ((each.file_id, each.file_name) not in cited, -each.score))


def read_id(thing: Any) -> str:
    """The id of a thing. Raises ProviderAway if it has none."""
    id_ = getattr(thing, "id", None)
    if not isinstance(id_, str) or not id_:
        raise ProviderAway(STRANGE)
    return id_
