"""Trusted documents: the operations of an operator's own applications, under the ids that these send."""

from datetime import datetime

from sqlalchemy.orm import Mapped

from db.base import NOW, Base, column


class TrustedDocument(Base):
    """A document under one of its ids: that of the manifest, or `sha256:` and the hash of its text."""

    __tablename__ = "trusted_documents"

    id: Mapped[str] = column(doc="The id that a client sends.", primary_key=True)
    text: Mapped[str] = column(doc="The document.")
    created_at: Mapped[datetime] = column(doc="When it was brought.", server_default=NOW)
