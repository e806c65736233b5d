"""What is stored, and who may see it. Read as `import db`, then `db.Clone`."""

from db.analytics import CreatorAnalytics, MemoryUsage
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
from db.local import LocalChunk, LocalFile, LocalStore, LocalStoreFile
from db.message import Message, MessageSource, SenderType
from db.operation import (
    Operation,
    OperationKind,
    OperationStatus,
    OperationStep,
    ProviderAccount,
    RemoteObject,
    StepKind,
    StepStatus,
)
from db.qa_pair import QaPair
from db.reply import Reply, ReplyStatus
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
    "LocalChunk",
    "LocalFile",
    "LocalStore",
    "LocalStoreFile",
    "MemoryType",
    "MemoryUsage",
    "Message",
    "MessageSource",
    "Operation",
    "OperationKind",
    "OperationStatus",
    "OperationStep",
    "ProcessingStatus",
    "ProviderAccount",
    "QaPair",
    "RemoteObject",
    "Reply",
    "ReplyStatus",
    "Row",
    "Scope",
    "SenderType",
    "ServiceToken",
    "Session",
    "SessionStatus",
    "SessionType",
    "StepKind",
    "StepStatus",
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
