"""What the local provider keeps: files as passages that can be found, and stores of files."""

from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, REAL, BigInteger, Computed, ForeignKey, Index
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped

from db.base import NOW, Base, column

WORDS = """
    (setweight(to_tsvector('english'::regconfig, COALESCE(heading, ''::text)), 'A'::"char")
    || setweight(to_tsvector('english'::regconfig, passage), 'D'::"char"))
"""
"""As PostgreSQL writes it down. What stands above a passage counts for more than its own words."""


class LocalFile(Base):
    """A file, once its text has been taken out of it. error: why there is none."""

    __tablename__ = "local_files"
    __table_args__ = (Index("idx_local_files_created", "created_at"),)

    id: Mapped[str] = column(doc="The file's id.", primary_key=True)
    name: Mapped[str] = column(doc="What it is called.")
    size_bytes: Mapped[int] = column(BigInteger, doc="The size of the file, in bytes.")
    error: Mapped[str | None] = column(doc="Why there is no text.")
    created_at: Mapped[datetime] = column(doc="When it came.", server_default=NOW)


class LocalChunk(Base):
    """A passage of a file. words: for full-text search. grams: a vector of hashed letter sequences, of length 1."""

    __tablename__ = "local_chunks"

    file_id: Mapped[str] = column(ForeignKey("local_files.id", ondelete="CASCADE"), doc="The file.", primary_key=True)
    position: Mapped[int] = column(doc="0 for the first passage, then counting up.", primary_key=True)
    heading: Mapped[str | None] = column(doc="What stands above it.")
    passage: Mapped[str] = column(doc="The words.")
    words: Mapped[Any] = column(TSVECTOR, Computed(WORDS, persisted=True), doc="The words as they are searched.")
    grams: Mapped[list[float]] = column(ARRAY(REAL), doc="The sequences of letters as they are compared.")


class LocalStore(Base):
    """A store of files."""

    __tablename__ = "local_stores"
    __table_args__ = (Index("idx_local_stores_created", "created_at"),)

    id: Mapped[str] = column(doc="The store's id.", primary_key=True)
    title: Mapped[str] = column(doc="What it is called.")
    tags: Mapped[dict[str, Any]] = column(doc="By what it is found.")
    created_at: Mapped[datetime] = column(doc="When it was made.", server_default=NOW)


class LocalStoreFile(Base):
    """A file in a store."""

    __tablename__ = "local_store_files"
    __table_args__ = (Index("idx_local_store_files_file", "file_id"),)

    store_id: Mapped[str] = column(
        ForeignKey("local_stores.id", ondelete="CASCADE"), doc="The store.", primary_key=True
    )
    file_id: Mapped[str] = column(ForeignKey("local_files.id", ondelete="CASCADE"), doc="The file.", primary_key=True)
    created_at: Mapped[datetime] = column(doc="When it was put there.", server_default=NOW)
