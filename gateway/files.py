"""Files of the storage folder, for whoever has a signed address of one."""

import hashlib
import re
import secrets
import time
from mimetypes import guess_type
from pathlib import PurePosixPath
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from db.storage import FileMissing
from gateway.settings import Settings
from gateway.tokens import Tokens
from resolvers.download import ROUTE, is_signed
from resolvers.provisioning.extraction import SUPPORTED
from resolvers.services import Services

FORBIDDEN = "This address is not good, or not good any more. Ask for downloadUrl again."
MISSING = "The file is not there any more."
SEPARATORS = re.compile(r"[/\\:]")
HEADERS = {"Cache-Control": "private, no-store"}


def files_secret(settings: Settings, tokens: Tokens) -> bytes:
    """What addresses are signed with: of the settings, or made of the secret of tokens.

    Without either, those of this process are good in this process.
    """
    if settings.files_secret:
        return settings.files_secret.get_secret_value().encode()
    return hashlib.blake2b((tokens.secret or secrets.token_hex()).encode(), person=b"clonegraph files").digest()


class Files:
    """Answers signed addresses. A bucket answers those of its own."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def routes(self) -> list[BaseRoute]:
        """Where files are asked for."""
        return [Route(ROUTE + "{key:path}", self.file)]

    async def file(self, request: Request) -> Response:
        """The file, or the part of it that is asked for, to be saved and never to be shown."""
        key = request.path_params["key"]
        given = {name: values[0] for name, values in parse_qs(request.url.query).items()}
        name, expires, signature = (given.get(each, "") for each in ("name", "expires", "signature"))
        if not is_signed(self.services.secret, key, name, expires, signature) or int(expires) < time.time():
            return PlainTextResponse(FORBIDDEN, 403, HEADERS)
        try:
            path = self.services.storage.path(key)
        except FileMissing:
            return PlainTextResponse(MISSING, 404, HEADERS)
        ending = PurePosixPath(key).suffix
        media_type = SUPPORTED.get(ending) or guess_type(key)[0] or "application/octet-stream"
        name = SEPARATORS.sub("-", name)
        if not PurePosixPath(name).suffix:
            name += ending
        return FileResponse(path, headers=HEADERS, media_type=media_type, filename=name)
