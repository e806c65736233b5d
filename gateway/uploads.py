"""Files in a request: the GraphQL multipart request specification.

A form has `operations`, the request as JSON with null where files belong; `map`, which says where each file belongs;
and the files. They are kept on disk while they come in, and closed when the request is answered.
"""

from collections.abc import Iterator
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from gateway.errors import Code, RequestError
from gateway.request import CLOSE, decode, limited
from gateway.settings import Settings
from resolvers.upload import Upload

MOST_FILES = 20
LONGEST_NUMBER = 9
LONGEST_SHOWN = 100
FIELDS = ("operations", "map")
FORM = "clonegraph.form"
"""Where the form of a request is kept in its scope."""
EXAMPLE = '{"0": ["variables.input.file"]}'


async def read_form(request: Request, settings: Settings) -> Any:
    """The `operations` of a form, with each file where `map` says. Raises RequestError."""
    form = await _parse(request, settings)
    request.scope[FORM] = form
    operations, places = (decode(_text(form, name), name) for name in FIELDS)
    if isinstance(operations, list):
        raise _malformed("operations must be one operation; several at a time are not taken.")
    if not isinstance(operations, dict):
        raise _malformed("operations must be a JSON object with query and variables.")
    mapped = dict(_read_map(places))
    files: dict[str, Upload] = {}
    for name, file in form.multi_items():
        if name not in mapped and name not in FIELDS:
            raise _malformed(f"map does not say where {_short(name)} belongs, like {EXAMPLE}.")
        if name in files:
            raise _malformed(f"The form has {_short(name)} twice.")
        if isinstance(file, UploadFile):
            files[name] = _upload(file)
    for name, paths in mapped.items():
        if name not in files:
            raise _malformed(f"The file {_short(name)} of map is not in the form.")
        for path in paths:
            _place(operations, path, files[name])
    return operations


async def close_files(request: Request) -> None:
    """Close the files of a request, if it has some."""
    if form := request.scope.get(FORM):
        await form.close()


async def _parse(request: Request, settings: Settings) -> FormData:
    most = settings.max_upload_bytes
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > most:
        raise RequestError(
            413, Code.REQUEST_TOO_LARGE, f"A request with files may have {most} bytes at most.", headers=CLOSE
        )
    pieces = limited(request, most, settings.body_timeout)
    parser = MultiPartParser(
        request.headers,
        pieces,
        max_files=MOST_FILES,
        max_fields=len(FIELDS),
        max_part_size=settings.max_body_bytes,
    )
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise RequestError(400, Code.BAD_REQUEST, f"The form cannot be read: {error.message}", headers=CLOSE) from None


def _text(form: FormData, name: str) -> str:
    values = form.getlist(name)
    if len(values) != 1 or not isinstance(values[0], str):
        raise _malformed(f"The form must have {name} once, as a field with JSON.")
    return values[0]


def _upload(file: UploadFile) -> Upload:
    return Upload(file.filename or "", file.size or 0, file.read, file.seek)


def _read_map(places: Any) -> Iterator[tuple[str, list[str]]]:
    """Where each file belongs, by its name in the form."""
    if not isinstance(places, dict):
        raise _malformed(f"map must be a JSON object like {EXAMPLE}.")
    for name, paths in places.items():
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise _malformed(f"map must have a list of paths for the file {_short(name)}, like {EXAMPLE}.")
        yield name, paths


def _place(operations: dict[str, Any], path: str, file: Upload) -> None:
    """Put a file in the place of a null."""
    root, *steps = path.split(".")
    holder: Any = operations.get("variables")
    if root != "variables" or not steps:
        raise _malformed(f"The path {_short(path)} of map must begin with `variables.`.")
    *way, last = steps
    for step in way:
        holder = _step(holder, step, path)
    if _step(holder, last, path) is not None:
        raise _malformed(f"The path {_short(path)} of map must lead to null in operations, once.")
    holder[int(last) if isinstance(holder, list) else last] = file


def _step(holder: Any, step: str, path: str) -> Any:
    if isinstance(holder, dict) and step in holder:
        return holder[step]
    if isinstance(holder, list) and step.isdecimal() and len(step) < LONGEST_NUMBER and int(step) < len(holder):
        return holder[int(step)]
    raise _malformed(f"The path {_short(path)} of map leads nowhere in operations.")


def _short(text: str) -> str:
    """What a client calls something, fit for a message to it."""
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."


def _malformed(message: str) -> RequestError:
    return RequestError(422, Code.BAD_REQUEST, message)
