"""What may go wrong with the data, under the sentence of `clonegraph db verify` that is no longer true then."""

PREPARE = """
    SET LOCAL session_replication_role = replica;  -- nothing is refused, booked or carried along
    CREATE TEMP TABLE visit ON COMMIT DROP AS
        SELECT * FROM sessions WHERE end_reason = 'user' AND time_cost > 0 AND message_count > 2 ORDER BY id LIMIT 1;
    CREATE TEMP TABLE trial ON COMMIT DROP AS SELECT * FROM sessions WHERE demo_mode ORDER BY id LIMIT 1;

    CREATE FUNCTION pg_temp.book(person uuid, change numeric, kind text, spent numeric = 0, session uuid = NULL,
        at timestamptz = now(), actor text = NULL, key uuid = NULL) RETURNS void LANGUAGE sql AS $$
        WITH account AS (
            UPDATE user_profiles SET credits_remaining = credits_remaining + change, total_spent = total_spent + spent
            WHERE id = person RETURNING credits_remaining, total_spent)
        INSERT INTO credit_entries (user_id, amount, kind, session_id, actor, idempotency_key, created_at,
            balance_after, spent_after)
        SELECT person, change, kind, session, actor, key, at, account.* FROM account
    $$;
    CREATE FUNCTION pg_temp.talk(begun timestamptz, ended timestamptz, seconds numeric) RETURNS void LANGUAGE sql AS $$
        INSERT INTO sessions (user_id, clone_id, status, start_time, end_time, last_active_at, end_reason,
            billable_seconds, duration_minutes)
        SELECT user_id, clone_id, 'ended', begun, ended, ended, 'user', seconds, round(seconds / 60, 4) FROM visit
    $$;
"""
"""A session that was paid for, one that was free, and how to move a balance and to talk for nothing in good order."""

CORRUPTIONS: dict[str, list[str]] = {
    "No balance is below zero, except those that were so before the ledger and have only risen since": [
        "SELECT pg_temp.book(id, -credits_remaining - 1, 'adjustment') FROM user_profiles ORDER BY id LIMIT 1",
    ],
    "The database refuses to bring a balance below zero": [
        "ALTER TABLE user_profiles DISABLE TRIGGER guard_balance",
        "DROP TRIGGER guard_balance_of_new ON user_profiles",
    ],
    "A balance is the sum of its entries": [
        "UPDATE user_profiles SET credits_remaining = credits_remaining + 0.00000001 WHERE credits_remaining > 0",
        "INSERT INTO user_profiles (email, full_name, credits_remaining) VALUES ('eve@example.com', 'Eve', 1)",
    ],
    "The database books what other programs do to balances": [
        "ALTER TABLE user_profiles DISABLE TRIGGER book_external",
        "DROP TRIGGER book_external_of_new ON user_profiles",
    ],
    "Each entry's balance follows from the one before it": [
        "UPDATE credit_entries SET balance_after = balance_after + 1 FROM visit WHERE session_id = visit.id",
    ],
    "The database refuses to change a person's entries": ["DROP TRIGGER refuse_change ON credit_entries"],
    "The database refuses to change a creator's entries": [
        "ALTER TABLE creator_entries ENABLE REPLICA TRIGGER refuse_change"
    ],
    "A request moves a person's balance once at most": [
        """
        ALTER TABLE credit_entries DROP CONSTRAINT credit_entries_idempotency_key;
        SELECT pg_temp.book(user_id, 1, 'top_up', at => '2020-01-01', actor => 'user:grace', key => id)
            FROM visit, generate_series(1, 2)
        """,
    ],
    "A request that moved a balance is remembered for 24 hours": [
        "SELECT pg_temp.book(user_id, 1, 'top_up', actor => 'user:grace', key => id) FROM visit",
    ],
    "A session costs what its entries say": [
        "UPDATE sessions SET total_cost = sessions.total_cost + 1 FROM visit WHERE sessions.id = visit.id",
        "UPDATE sessions SET total_cost = NULL FROM visit WHERE sessions.id = visit.id",
    ],
    "A session's time costs what was charged for time": [
        """
        UPDATE credit_entries SET kind = 'message_charge' FROM visit
        WHERE session_id = visit.id AND kind = 'session_charge'
        """,
    ],
    "A message costs what was charged for it": [
        "UPDATE messages SET cost_increment = cost_increment + 1 FROM visit WHERE session_id = visit.id",
    ],
    "A session is paid for by the person whose it is": [
        """
        UPDATE sessions SET user_id = other.id FROM visit, (SELECT id FROM user_profiles ORDER BY id LIMIT 1) AS other
        WHERE sessions.id = visit.id
        """,
    ],
    "A demonstration is free": [
        """
        SELECT pg_temp.book(user_id, -1, 'message_charge', 1, id, start_time),
            pg_temp.book(user_id, 1, 'refund', -1, id) FROM trial
        """,
    ],
    "No more of a session is refunded than was charged": [
        "SELECT pg_temp.book(user_id, 1, 'refund', -1, gen_random_uuid()) FROM visit",
    ],
    "What a person has spent is what the last entry says": [
        "UPDATE user_profiles SET total_spent = total_spent + 1 FROM visit WHERE user_profiles.id = visit.user_id",
    ],
    "Each entry's sum of what was spent follows from the one before it": [
        "UPDATE credit_entries SET spent_after = spent_after + 1 FROM visit WHERE session_id = visit.id",
        "SELECT pg_temp.book(user_id, 1, 'top_up', 1) FROM visit",
    ],
    "A clone's earnings are the sum of their entries": [
        "UPDATE clones SET total_earnings = total_earnings - 1 FROM visit WHERE clones.id = clone_id",
    ],
    "Each entry's sum of earnings follows from the one before it": [
        "UPDATE creator_entries SET earned_after = earned_after + 1 FROM visit WHERE session_id = visit.id",
    ],
    "A session earns its creator no more than was paid for it": [
        """
        WITH clone AS (
            UPDATE clones SET total_earnings = total_earnings + 0.0001 FROM visit WHERE clones.id = clone_id
            RETURNING clone_id, creator_id, visit.id AS session_id, total_earnings)
        INSERT INTO creator_entries (clone_id, creator_id, session_id, amount, kind, earned_after)
        SELECT clone_id, creator_id, session_id, 0.0001, 'earning', total_earnings FROM clone
        """,
    ],
    "The database books what other programs do to earnings": [
        "ALTER TABLE clones DISABLE TRIGGER book_external",
        "DROP TRIGGER book_external_of_new ON clones",
    ],
    "A person has one open session with a clone at most": [
        """
        DROP INDEX idx_sessions_open;
        INSERT INTO sessions (user_id, clone_id, status, last_active_at)
        SELECT user_id, clone_id, 'paused', now() FROM visit, generate_series(1, 2)
        """,
    ],
    "No session ends before it starts": ["SELECT pg_temp.talk(now(), now() - interval '1 second', 0)"],
    "Nothing is charged before a session starts, or after it ends": [
        f"""
        UPDATE credit_entries SET created_at = {moment} FROM visit
        WHERE session_id = visit.id AND kind = 'session_charge'
        """
        for moment in ("start_time - interval '1 microsecond'", "end_time + interval '1 microsecond'")
    ],
    "No more time is charged than a session took": [
        "SELECT pg_temp.talk(now() - interval '1 minute', now(), 60.000001)",
        "SELECT pg_temp.talk(now() - interval '1 minute', now(), -0.000001)",
    ],
    "Time costs what the session's rate says": [
        """
        UPDATE sessions SET rate_per_minute = sessions.rate_per_minute * 1.01 FROM visit WHERE sessions.id = visit.id
        """,
        """
        UPDATE sessions SET billable_seconds = sessions.billable_seconds - 1,
            duration_minutes = round((sessions.billable_seconds - 1) / 60, 4)
        FROM visit WHERE sessions.id = visit.id
        """,
    ],
    "The clock of a session runs while the session goes on, and only then": [
        "UPDATE sessions SET metered_until = sessions.end_time FROM visit WHERE sessions.id = visit.id",
        "UPDATE sessions SET metered_until = now(), updated_at = '2020-01-01' WHERE status = 'paused'",
        "UPDATE sessions SET metered_until = NULL, updated_at = '2020-01-01' WHERE status = 'active'",
    ],
    "A session's minutes are those that are charged": [
        "UPDATE sessions SET duration_minutes = NULL FROM visit WHERE sessions.id = visit.id",
    ],
    "A session's count of messages is right": [
        "UPDATE sessions SET message_count = sessions.message_count + 1 FROM visit WHERE sessions.id = visit.id",
    ],
    "A clone's ratings follow from its sessions": [
        "UPDATE clones SET total_ratings = total_ratings + 1 WHERE total_ratings > 0",
        "UPDATE clones SET average_rating = average_rating - 0.001",
    ],
    "A vector store's files are among its file_ids": ["UPDATE vector_stores SET file_ids = file_ids[2:]"],
    "A domain's expert_names are its experts": ["UPDATE domains SET expert_names = expert_names || ARRAY['Nobody']"],
    "An answer is a message of the clone, in the session of the question": [
        "UPDATE replies SET message_id = question_id WHERE status = 'done'",
        "UPDATE replies SET session_id = visit.id FROM visit WHERE replies.session_id <> visit.id",
    ],
    "A message is one answer at most": [
        """
        WITH pair AS (SELECT session_id, min(message_id::text)::uuid AS message_id FROM replies
                      GROUP BY session_id HAVING count(*) > 1 LIMIT 1)
        UPDATE replies SET message_id = pair.message_id FROM pair WHERE replies.session_id = pair.session_id
        """,
    ],
    "Only an answer that is done is a message": ["UPDATE replies SET status = 'failed'"],
    "A worker takes up the answers that are open, and no others": [
        "UPDATE replies SET due_at = now()",
        "UPDATE replies SET status = 'answering', message_id = NULL WHERE id = (SELECT id FROM replies LIMIT 1)",
    ],
    "The database tells whoever reads along of what is answered": [
        "ALTER TABLE replies DISABLE TRIGGER tell_update",
        "DROP TRIGGER tell_insert ON replies",
        "DROP TRIGGER tell_delete ON replies",
    ],
    "A clone's assistant exists": ["UPDATE clones SET rag_assistant_id = 'asst_of_nobody'"],
    "A clone's vector store exists": ["UPDATE clones SET vector_store_id = 'vs_of_nobody'"],
    "An assistant's vector store exists": ["UPDATE assistants SET vector_id = 'vs_of_nobody'"],
    "A vector store's expert exists": ["UPDATE vector_stores SET expert_name = 'Nobody'"],
    "People who have been below zero since before the ledger": [
        """
        WITH person AS (
            INSERT INTO user_profiles (email, full_name, credits_remaining) VALUES ('eve@example.com', 'Eve', -5)
            RETURNING id)
        INSERT INTO credit_entries (user_id, amount, kind, balance_after, spent_after)
        SELECT id, -5, 'opening', -5, 0 FROM person
        """,
    ],
    "Sessions that another program ended before they start": [
        """
        INSERT INTO sessions (user_id, clone_id, status, start_time, end_time)
        SELECT user_id, clone_id, 'ended', now(), now() - interval '1 second' FROM visit
        """,
    ],
    "Sessions of other programs whose count of messages is wrong": [
        "INSERT INTO sessions (user_id, clone_id, message_count) SELECT user_id, clone_id, 1 FROM visit",
    ],
    "Clones whose ratings do not follow from their sessions, and may come from other programs": [
        "INSERT INTO sessions (user_id, clone_id, user_rating) SELECT user_id, clone_id, 1 FROM visit",
        "DELETE FROM sessions USING visit WHERE sessions.clone_id = visit.clone_id AND sessions.user_rating = 5",
        "UPDATE clones SET average_rating = 5 WHERE total_ratings = 0",
    ],
}
"""What is done to make each sentence untrue, and no other."""
