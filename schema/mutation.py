"""The root of the graph where mutations begin. Each runs when the one before it has been committed."""

import strawberry

from schema import clone, credits, document, domain, expert, knowledge, message, provisioning, qa_pair, session  # noqa: A004 (the entity is called so everywhere)


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
    delete_domain = domain.delete_domain
    delete_expert = expert.delete_expert
    upload_document = document.upload_document
    add_document_link = document.add_document_link
    update_document = document.update_document
    delete_document = document.delete_document
    add_knowledge = knowledge.add_knowledge
    update_knowledge = knowledge.update_knowledge
    delete_knowledge = knowledge.delete_knowledge
    add_qa_pair = qa_pair.add_qa_pair
    update_qa_pair = qa_pair.update_qa_pair
    delete_qa_pair = qa_pair.delete_qa_pair

    provision_vector_store = provisioning.provision_vector_store
    provision_assistant = provisioning.provision_assistant
    provision_clone = provisioning.provision_clone
    sync_knowledge = provisioning.sync_knowledge
    deprovision_vector_store = provisioning.deprovision_vector_store
    migrate_assistant = provisioning.migrate_assistant
    cancel_operation = provisioning.cancel_operation
    retry_operation = provisioning.retry_operation
    repair_drift = provisioning.repair_drift

    start_session = session.start_session
    pause_session = session.pause_session
    resume_session = session.resume_session
    end_session = session.end_session
    rate_session = session.rate_session
    refund_session = session.refund_session
    send_message = message.send_message
    record_message = message.record_message
    top_up_credits = credits.top_up_credits
    adjust_credits = credits.adjust_credits
