"""Downloads: the field that says where a file can be read."""

from typing import Any

from strawberry.annotation import StrawberryAnnotation

import db
from loaders.columns import never_readable
from loaders.relation import Attribute
from resolvers.download import SECONDS, download_url
from resolvers.permissions import Forbidden
from schema.field import RowField

DESCRIPTION = (
    f"Where the file can be downloaded, for {SECONDS // 60} minutes: an address of the storage, or a path of this"
    " gateway. Null where there is no file of ours."
)


class DownloadUrl(RowField):
    """An address that is good for a while, for whoever may read the link to the file."""

    def __init__(self, row: type[db.Row], link: str, name: str) -> None:
        super().__init__(type_annotation=StrawberryAnnotation(str | None), description=DESCRIPTION)
        self.row = row
        self.columns = (link, name)

    @property
    def is_async(self) -> bool:
        """Signing for a bucket can take a moment."""
        return True

    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The address; an error where this kind of viewer never reads the link."""
        link, name = self.columns
        if never_readable(self.row, link, info.context.viewer.kind):
            raise Forbidden
        return download_url(info.context.services, source[link], source[name])


def download(link: Attribute, name: Attribute) -> Any:
    """The field for the file that a column leads to. name: what it is called, in another column."""
    row: Any = link.class_
    return DownloadUrl(row, link.key, name.key)
