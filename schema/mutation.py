"""The root of the graph where mutations begin. Each runs when the one before it has been committed."""

import strawberry

from schema import clone, credits, document, domain, expert, message, session  # noqa: A004 (the entity is called so everywhere)


@strawberry.type(description="Where changes begin. They are made one after the other, and each is whole by itself.")
class Mutation:
    """Where mutations begin."""

    create_clone = clone.create_clone
    update_clone = clone.update_clone
    publish_clone = clone.publish_clone
    unpublish_clone = clone.unpublish_clone
    archive_clone = clone.archive_clone
    assign_experts = clone.assign_experts
    create_domain = domain.create_domain
    rename_domain = domain.rename_domain
    create_expert = expert.create_expert
    update_expert = expert.update_expert
    upload_document = document.upload_document

    start_session = session.start_session
    pause_session = session.pause_session
    resume_session = session.resume_session
    end_session = session.end_session
    rate_session = session.rate_session
    refund_session = session.refund_session
    record_message = message.record_message
    top_up_credits = credits.top_up_credits
    adjust_credits = credits.adjust_credits
