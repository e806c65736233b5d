"""What is stored, and who may see it. Read as `import db`, then `db.Clone`."""

from db.analytics import CreatorAnalytics, MemoryUsage, QaPair
from db.assistant import Assistant, AssistantConfig
from db.base import Base, Row, Vocabulary, Words
from db.clone import Clone, CloneExpert, MemoryType
from db.creator_entry import CreatorEntry, CreatorEntryKind
from db.credits import CreditEntry, CreditEntryKind
from db.document import Document, clone_documents
from db.domain import Domain
from db.event import Event
from db.expert import Expert
from db.idempotency_key import IdempotencyKey
from db.knowledge import Knowledge, ProcessingStatus
from db.message import Message, MessageSource, SenderType
from db.service_token import Scope, ServiceToken
from db.session import EndReason, Session, SessionStatus, SessionType
from db.trusted_document import TrustedDocument
from db.user import SubscriptionTier, User, UserRole
from db.vector_store import FileStatus, StoreFile, StoreOwner, VectorStore
from db.viewer import ANONYMOUS, Viewer, ViewerKind

__all__ = [
    "ANONYMOUS",
    "Assistant",
    "AssistantConfig",
    "Base",
    "Clone",
    "CloneExpert",
    "CreatorAnalytics",
    "CreatorEntry",
    "CreatorEntryKind",
    "CreditEntry",
    "CreditEntryKind",
    "Document",
    "Domain",
    "EndReason",
    "Event",
    "Expert",
    "FileStatus",
    "IdempotencyKey",
    "Knowledge",
    "MemoryType",
    "MemoryUsage",
    "Message",
    "MessageSource",
    "ProcessingStatus",
    "QaPair",
    "Row",
    "Scope",
    "SenderType",
    "ServiceToken",
    "Session",
    "SessionStatus",
    "SessionType",
    "StoreFile",
    "StoreOwner",
    "SubscriptionTier",
    "TrustedDocument",
    "User",
    "UserRole",
    "VectorStore",
    "Viewer",
    "ViewerKind",
    "Vocabulary",
    "Words",
    "clone_documents",
]
