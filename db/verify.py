"""What must hold in the data, each as one statement that counts the exceptions.

M1 to M14 are the invariants of money. Other programs work in the same tables, and know nothing of the ledger: what
they can make untrue by doing what they always did is asked of the gateway's own rows only, and worth knowing of theirs.
"""

# ruff: noqa: S608 (all words in the statements are our own)

from dataclasses import dataclass

from db.engine import Database


@dataclass(frozen=True, slots=True)
class Check:
    """A sentence, and the statement that counts the rows for which it is not true.

    code: of the invariant of money that it belongs to. must_hold: if not, it is worth knowing, and no more.
    """

    code: str
    sentence: str
    statement: str
    must_hold: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """How many exceptions there are to a check."""

    check: Check
    exceptions: int

    @property
    def sentence(self) -> str:
        """The sentence of the check."""
        return self.check.sentence

    @property
    def is_wrong(self) -> bool:
        """Whether something that must hold does not."""
        return self.check.must_hold and self.exceptions > 0


OURS = "s.last_active_at IS NOT NULL"
"""Sessions that the gateway keeps and bills."""

ENDED_BY_US = "s.end_reason IS NOT NULL"
"""Sessions that the gateway has ended. Another program that ends one of them goes by its own clock and counts."""

SETTLED = f"{OURS} AND ({ENDED_BY_US} OR s.updated_at < now() - interval '1 minute')"
"""Sessions as the worker leaves them: it needs some seconds to see that another program has changed one."""

RATINGS = """
    SELECT count(*) FROM clones c
    LEFT JOIN (SELECT clone_id, count(*) AS sessions, count(user_rating) AS ratings, avg(user_rating) AS mean,
                      bool_and(last_active_at IS NOT NULL) FILTER (WHERE user_rating IS NOT NULL) AS are_ours
               FROM sessions GROUP BY clone_id) s ON s.clone_id = c.id
    WHERE (c.total_ratings <> coalesce(s.ratings, 0) OR round(c.average_rating, 4) IS DISTINCT FROM round(s.mean, 4))
        AND"""

RATED_BY_US = "(s.are_ours IS TRUE AND c.total_sessions <= s.sessions)"
"""Clones whose ratings only the gateway counts: there are some, all of its own sessions, and no session was deleted."""

COUNT_OF_MESSAGES = """
    SELECT count(*) FROM sessions s
    LEFT JOIN (SELECT session_id, count(*) AS total FROM messages GROUP BY session_id) m ON m.session_id = s.id
    WHERE s.message_count <> coalesce(m.total, 0) AND"""


def _triggers(table: str, *names: str) -> str:
    """A statement that counts those triggers of a table that are missing, or switched off."""
    return f"""
        SELECT {len(names)} - count(*) FROM pg_trigger
        WHERE tgrelid = to_regclass('{table}') AND tgname IN ({", ".join(f"'{name}'" for name in names)})
            AND tgenabled IN ('O', 'A')"""


def _broken(chain: str, of: str, entries: str, change: str) -> str:
    """A statement that counts the entries of a ledger whose running sum is not the one before it plus the change.

    Their order is that of their numbers, which are given while the account is locked. OFFSET 0 has the table read as it
    lies, and sorted: in the order of an index, each row would be looked for where the table is larger than the memory.
    """
    return f"""
        SELECT count(*) FROM (
            SELECT sum, lag(sum, 1, 0::numeric) OVER (PARTITION BY {of} ORDER BY number) AS before, amount, kind
            FROM (SELECT {of}, number, amount, kind, {chain} AS sum FROM {entries} OFFSET 0) e) e
        WHERE sum IS DISTINCT FROM before + {change}"""


MUST_HOLD: dict[str, dict[str, str]] = {
    "M1": {
        # Whoever was below zero when the ledger began can rise, by entries after which the balance still is below zero.
        "No balance is below zero, except those that were so before the ledger and have only risen since": """
            SELECT (SELECT count(*) FROM credit_entries WHERE balance_after < 0 AND amount < 0 AND kind <> 'opening')
                + (SELECT count(*) FROM user_profiles u WHERE u.credits_remaining < 0 AND NOT EXISTS (
                       SELECT FROM credit_entries e WHERE e.user_id = u.id AND e.kind = 'opening'
                           AND e.balance_after <= u.credits_remaining))""",
        "The database refuses to bring a balance below zero": _triggers(
            "user_profiles", "guard_balance", "guard_balance_of_new"
        ),
    },
    "M2": {
        "A balance is the sum of its entries": """
            SELECT count(*) FROM user_profiles u
            LEFT JOIN (SELECT user_id, sum(amount) AS total FROM credit_entries GROUP BY user_id) e ON e.user_id = u.id
            WHERE u.credits_remaining <> coalesce(e.total, 0)""",
        "The database books what other programs do to balances": _triggers(
            "user_profiles", "book_external", "book_external_of_new"
        ),
    },
    "M3": {
        "Each entry's balance follows from the one before it": _broken(
            "balance_after", "user_id", "credit_entries", "amount"
        ),
    },
    "M4": {
        "The database refuses to change a person's entries": _triggers("credit_entries", "refuse_change"),
        "The database refuses to change a creator's entries": _triggers("creator_entries", "refuse_change"),
    },
    "M5": {
        "A request moves a person's balance once at most": """
            SELECT count(*) FROM (
                SELECT FROM credit_entries WHERE idempotency_key IS NOT NULL
                GROUP BY user_id, actor, idempotency_key HAVING count(*) > 1) e""",
        # Keys are forgotten after 48 hours. Entries of the demo have keys and no actor: nobody has sent them.
        "A request that moved a balance is remembered for 24 hours": """
            SELECT count(*) FROM credit_entries e
            WHERE e.created_at > now() - interval '24 hours' AND e.actor IS NOT NULL AND e.idempotency_key IS NOT NULL
                AND NOT EXISTS (
                    SELECT FROM idempotency_keys k WHERE k.actor = e.actor AND k.key = e.idempotency_key)""",
    },
    "M6": {
        # Other programs write what they like into the cost of their sessions, and take it from the balance themselves.
        "A session costs what its entries say": f"""
            SELECT count(*) FROM sessions s
            LEFT JOIN (SELECT session_id, sum(amount) AS total FROM credit_entries GROUP BY session_id) e
                ON e.session_id = s.id
            WHERE {OURS} AND coalesce(s.total_cost, 0) <> -coalesce(e.total, 0)""",
        "A session's time costs what was charged for time": f"""
            SELECT count(*) FROM sessions s
            LEFT JOIN (SELECT session_id, sum(amount) AS total FROM credit_entries WHERE kind = 'session_charge'
                       GROUP BY session_id) e ON e.session_id = s.id
            WHERE {OURS} AND s.time_cost <> -coalesce(e.total, 0)""",
        # Seen from the messages: where another program has deleted one, its charge stays.
        "A message costs what was charged for it": f"""
            SELECT count(*) FROM messages m JOIN sessions s ON s.id = m.session_id
            LEFT JOIN (SELECT message_id, sum(amount) AS total FROM credit_entries WHERE kind = 'message_charge'
                       GROUP BY message_id) e ON e.message_id = m.id
            WHERE {OURS} AND coalesce(m.cost_increment, 0) <> -coalesce(e.total, 0)""",
        "A session is paid for by the person whose it is": """
            SELECT count(*) FROM credit_entries e JOIN sessions s ON s.id = e.session_id
            WHERE e.user_id <> s.user_id""",
    },
    "M7": {
        "A demonstration is free": f"""
            SELECT count(*) FROM sessions s
            WHERE s.demo_mode AND ({OURS} AND coalesce(s.total_cost, 0) <> 0
                OR EXISTS (SELECT FROM credit_entries e WHERE e.session_id = s.id))""",
    },
    "M8": {
        "No more of a session is refunded than was charged": """
            SELECT count(*) FROM (
                SELECT FROM credit_entries WHERE session_id IS NOT NULL
                GROUP BY session_id HAVING sum(amount) > 0) e""",
    },
    "M9": {
        "What a person has spent is what the last entry says": """
            SELECT count(*) FROM user_profiles u
            LEFT JOIN LATERAL (SELECT spent_after FROM credit_entries WHERE user_id = u.id
                               ORDER BY number DESC LIMIT 1) e ON true
            WHERE u.total_spent <> coalesce(e.spent_after, 0)""",
        # Charges and refunds are what counts as spent; another program says itself what was.
        "Each entry's sum of what was spent follows from the one before it": _broken(
            "spent_after",
            "user_id",
            "credit_entries",
            """CASE WHEN kind IN ('session_charge', 'message_charge', 'refund') THEN -amount
                    WHEN kind IN ('opening', 'external') THEN sum - before ELSE 0 END""",
        ),
    },
    "M10": {
        "A clone's earnings are the sum of their entries": """
            SELECT count(*) FROM clones c
            LEFT JOIN (SELECT clone_id, sum(amount) AS total FROM creator_entries GROUP BY clone_id) e
                ON e.clone_id = c.id
            WHERE c.total_earnings <> coalesce(e.total, 0)""",
        "Each entry's sum of earnings follows from the one before it": _broken(
            "earned_after", "clone_id", "creator_entries", "amount"
        ),
        "A session earns its creator no more than was paid for it": """
            SELECT count(*) FROM (
                SELECT session_id, sum(amount) AS earned FROM creator_entries WHERE session_id IS NOT NULL
                GROUP BY session_id) c
            LEFT JOIN (SELECT session_id, -sum(amount) AS paid FROM credit_entries GROUP BY session_id) e
                USING (session_id)
            WHERE c.earned > coalesce(e.paid, 0)""",
        "The database books what other programs do to earnings": _triggers(
            "clones", "book_external", "book_external_of_new"
        ),
    },
    "M11": {
        # What other programs leave open, and how often, is their business.
        "A person has one open session with a clone at most": f"""
            SELECT count(*) FROM (
                SELECT FROM sessions s WHERE {OURS} AND s.status <> 'ended'
                GROUP BY s.user_id, s.clone_id HAVING count(*) > 1) s""",
    },
    "M12": {
        "No session ends before it starts": f"""
            SELECT count(*) FROM sessions s WHERE {ENDED_BY_US} AND s.end_time < s.start_time""",
        # A session of ours that another program has ended is charged a moment later, up to its end.
        "Nothing is charged before a session starts, or after it ends": f"""
            SELECT count(*) FROM credit_entries e JOIN sessions s ON s.id = e.session_id
            WHERE e.kind IN ('session_charge', 'message_charge') AND {OURS}
                AND (e.created_at < s.start_time OR {ENDED_BY_US} AND e.created_at > s.end_time)""",
        "No more time is charged than a session took": f"""
            SELECT count(*) FROM (
                SELECT billable_seconds, start_time, coalesce(
                    CASE WHEN {ENDED_BY_US} THEN end_time END, metered_until, greatest(last_active_at, now())) AS until
                FROM sessions s WHERE {OURS}) s
            WHERE billable_seconds NOT BETWEEN 0 AND greatest(extract(epoch FROM until - start_time), 0)""",
        # Costs are rounded to 4 places. Where the credits did not reach, the cost is what was there, and the seconds
        # are what it pays for, to the microsecond. All of it times 60, so that nothing is divided and rounded here.
        "Time costs what the session's rate says": f"""
            SELECT count(*) FROM (
                SELECT time_cost AS cost, billable_seconds AS seconds,
                    CASE WHEN demo_mode THEN 0 ELSE coalesce(rate_per_minute, 0) END AS rate
                FROM sessions s WHERE {OURS}) s
            WHERE abs(cost * 60 - seconds * rate) > 0.00005 * 60 + 0.000001 * rate""",
        "The clock of a session runs while the session goes on, and only then": f"""
            SELECT count(*) FROM sessions s
            WHERE {SETTLED} AND (s.status = 'active') <> (s.metered_until IS NOT NULL)""",
        "A session's minutes are those that are charged": f"""
            SELECT count(*) FROM sessions s
            WHERE {ENDED_BY_US} AND s.duration_minutes IS DISTINCT FROM round(s.billable_seconds / 60, 4)""",
    },
    "M13": {
        # Old programs count for themselves, or not at all.
        "A session's count of messages is right": f"{COUNT_OF_MESSAGES} {OURS}",
    },
    "M14": {
        "A clone's ratings follow from its sessions": f"{RATINGS} {RATED_BY_US}",
    },
    "": {
        # What another program deletes here stays at the provider, and in file_ids, until the store is next looked at.
        "A vector store's files are among its file_ids": """
            SELECT count(*) FROM vector_stores v
            WHERE NOT coalesce(v.file_ids, '{}') @> ARRAY(
                SELECT file_id FROM store_files WHERE vector_store_id = v.id AND file_id IS NOT NULL)""",
        "A domain's expert_names are its experts": """
            SELECT count(*) FROM domains d
            LEFT JOIN (SELECT domain, array_agg(name ORDER BY name) AS names FROM experts GROUP BY domain) e
                ON e.domain = d.domain_name
            WHERE coalesce((SELECT array_agg(name ORDER BY name) FROM unnest(d.expert_names) name), '{}')
                <> coalesce(e.names, '{}')""",
        "An answer is a message of the clone, in the session of the question": """
            SELECT count(*) FROM replies r JOIN messages q ON q.id = r.question_id
            LEFT JOIN messages m ON m.id = r.message_id
            WHERE q.session_id <> r.session_id OR m.session_id <> r.session_id OR m.sender_type <> 'ai'""",
        "A message is one answer at most": """
            SELECT count(*) FROM (SELECT FROM replies GROUP BY message_id HAVING count(message_id) > 1) r""",
        "Only an answer that is done is a message": """
            SELECT count(*) FROM replies WHERE status <> 'done' AND message_id IS NOT NULL""",
        "A worker takes up the answers that are open, and no others": """
            SELECT count(*) FROM replies WHERE (status IN ('pending', 'answering')) <> (due_at IS NOT NULL)""",
        "The database tells whoever reads along of what is answered": _triggers(
            "replies", "tell_insert", "tell_update", "tell_delete"
        ),
        "A clone's assistant exists": """
            SELECT count(*) FROM clones c WHERE c.rag_assistant_id IS NOT NULL
                AND NOT EXISTS (SELECT FROM assistants a WHERE a.assistant_id = c.rag_assistant_id)""",
        "A clone's vector store exists": """
            SELECT count(*) FROM clones c WHERE c.vector_store_id IS NOT NULL
                AND NOT EXISTS (SELECT FROM vector_stores v WHERE v.vector_id = c.vector_store_id)""",
        "An assistant's vector store exists": """
            SELECT count(*) FROM assistants a WHERE a.vector_id IS NOT NULL
                AND NOT EXISTS (SELECT FROM vector_stores v WHERE v.vector_id = a.vector_id)""",
        "A vector store's expert exists": """
            SELECT count(*) FROM vector_stores v WHERE v.expert_name IS NOT NULL
                AND NOT EXISTS (SELECT FROM experts e WHERE e.name = v.expert_name)""",
    },
}

WORTH_KNOWING: dict[str, dict[str, str]] = {
    "M1": {
        "People who have been below zero since before the ledger": """
            SELECT count(*) FROM user_profiles u WHERE u.credits_remaining < 0 AND EXISTS (
                SELECT FROM credit_entries e WHERE e.user_id = u.id AND e.kind = 'opening'
                    AND e.balance_after <= u.credits_remaining)""",
    },
    "M12": {
        "Sessions that another program ended before they start": """
            SELECT count(*) FROM sessions s WHERE s.end_reason IS NULL AND s.end_time < s.start_time""",
    },
    "M13": {
        "Sessions of other programs whose count of messages is wrong": f"{COUNT_OF_MESSAGES} NOT {OURS}",
    },
    "M14": {
        "Clones whose ratings do not follow from their sessions, and may come from other programs": f"""
            {RATINGS} NOT {RATED_BY_US}""",
    },
}

CHECKS = tuple(
    Check(code, sentence, statement, must_hold=kind is MUST_HOLD)
    for kind in (MUST_HOLD, WORTH_KNOWING)
    for code, statements in kind.items()
    for sentence, statement in statements.items()
)


async def findings(database: Database) -> list[Finding]:
    """Everything that must hold or is worth knowing, and how many exceptions there are."""
    return [Finding(check, (await database.fetch(check.statement, ()))[0][0]) for check in CHECKS]
