"""What there is to know about an assistant beside its columns."""


def is_legacy(assistant_id: str) -> bool:
    """Whether it comes from the provider's retired Assistants API, and can no longer answer."""
    return assistant_id.startswith("asst_")
