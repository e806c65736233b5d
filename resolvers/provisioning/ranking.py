"""Ranking: which passages fit a question, by its words and by their spelling. What words mean is not looked at.

By words, a passage counts for each word of the question that it has, rare ones more than common ones, and those of a
heading more than others. By spelling, it counts for how much its sequences of letters have in common with those of the
question. The two lists are fused by the places in them. Where PostgreSQL has no pgvector, there is only the first one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from db.engine import Database
from db.passages import spelled, words

MOST_WORDS: Final = 40
"""How many different words of a question are looked at."""

MOST_PASSAGES: Final = 50
"""How many each of the two ways finds at most."""

ENOUGH: Final = 0.18
"""How alike the spelling of some passage must be, where 1 is the same, and what its words count for, taken together.
Otherwise nothing is found."""

WORDS_COUNT: Final = 0.125
"""What it counts for if some passage has all words of the question. Of fewer words, rare ones count for more."""

ENOUGH_WORDS: Final = 0.2
"""Where there are only words: the part of them that a passage must have, so that anything is found."""

FEWEST_WORDS: Final = 2
"""And how many, if there are so many in the question. One rare word in common says little."""

SOME_LETTERS: Final = 0.1
"""How alike the spelling of each must be."""

LETTERS_COUNT: Final = 0.5
"""What a place in the list by spelling counts for, where a place in the list by words counts for 1."""

BEFORE_THE_FIRST: Final = 10
"""With more, the first places count for less."""

HELD = "held AS (SELECT DISTINCT file_id FROM local_store_files WHERE store_id = ANY($1))"

WEIGH: Final = f"""
    WITH {HELD},
    asked AS (
        SELECT word, ('''' || replace(replace(lexeme, '\\', '\\\\'), '''', '''''') || '''')::tsquery AS query
        FROM unnest($2::text[]) AS word, unnest(to_tsvector('english', word))
    ),
    found AS MATERIALIZED (
        SELECT words FROM local_chunks JOIN held USING (file_id)
        WHERE words @@ (SELECT string_agg(query::text, ' | ')::tsquery FROM asked)
    ),
    total AS (SELECT count(*) AS passages FROM local_chunks JOIN held USING (file_id))
    SELECT word, query::text, ln(1 + (passages - holders + 0.5) / (holders + 0.5))::float8 AS weight
    FROM asked, total, LATERAL (SELECT count(*) AS holders FROM found WHERE words @@ query) AS counted
    WHERE passages > 0
"""  # noqa: S608 (of our own words)
"""How rare each word is, in the way of BM25. Words that every text has, such as `the`, are left out."""

BY_WORDS: Final = f"""
    WITH {HELD},
    asked AS (SELECT query::tsquery, weight FROM unnest($2::text[], $3::float8[]) AS asked (query, weight)),
    by_words AS (
        SELECT file_id, position, score, covered, shared,
            row_number() OVER (ORDER BY score DESC, file_id, position) AS place
        FROM (
            SELECT file_id, position, sum(weight * rank) AS score,
                coalesce(sum(weight) FILTER (WHERE rank > 0), 0) / $4 AS covered,
                count(*) FILTER (WHERE rank > 0) AS shared
            FROM local_chunks JOIN held USING (file_id), asked,
                LATERAL ts_rank_cd('{{0.5, 0.5, 0.5, 1}}', words, query, 32) AS rank
            WHERE words @@ (SELECT string_agg(query::text, ' | ')::tsquery FROM asked)
            GROUP BY file_id, position
        ) AS scored
        ORDER BY place LIMIT {MOST_PASSAGES}
    )"""  # noqa: S608 (of our own words)

BY_LETTERS: Final = f"""
    by_letters AS (
        SELECT file_id, position, likeness,
            row_number() OVER (ORDER BY likeness DESC, file_id, position) AS place
        FROM (
            SELECT file_id, position, 1 - (grams::vector <=> (SELECT $6::real[]::vector)) AS likeness
            FROM (SELECT file_id, position, grams FROM local_chunks JOIN held USING (file_id) OFFSET 0) AS those
        ) AS compared
        WHERE likeness > {SOME_LETTERS}
        ORDER BY place LIMIT {MOST_PASSAGES}
    ),
    judged AS (
        SELECT coalesce((SELECT max(likeness) FROM by_letters), 0)
            + {WORDS_COUNT} * coalesce((SELECT max(covered) FROM by_words), 0) >= {ENOUGH} AS is_enough
    )"""  # noqa: S608 (of our own words)
"""OFFSET keeps PostgreSQL from comparing the passages of all stores first."""

NO_LETTERS: Final = f"""
    by_letters AS (
        SELECT NULL::text AS file_id, NULL::int AS position, NULL::float8 AS likeness, NULL::bigint AS place
        WHERE $6::real[] IS NULL AND false
    ),
    judged AS (
        SELECT bool_or(covered >= {ENOUGH_WORDS} AND shared >= least({FEWEST_WORDS}, cardinality($2::text[])))
            AS is_enough
        FROM by_words
    )"""  # noqa: S608 (of our own words)

FUSED: Final = f"""
    SELECT chunk.file_id, file.name, chunk.heading, chunk.passage, score
    FROM (
        SELECT file_id, position, {BEFORE_THE_FIRST + 1} / {1 + LETTERS_COUNT} * (
            coalesce(1.0 / ({BEFORE_THE_FIRST} + by_words.place), 0)
            + coalesce({LETTERS_COUNT} / ({BEFORE_THE_FIRST} + by_letters.place), 0)
        )::float8 AS score
        FROM by_words FULL JOIN by_letters USING (file_id, position)
    ) AS fused
    JOIN local_chunks AS chunk USING (file_id, position) JOIN local_files AS file ON file.id = chunk.file_id
    WHERE (SELECT is_enough FROM judged)
    ORDER BY score DESC, chunk.file_id, chunk.position LIMIT $5
"""  # noqa: S608 (of our own words)
"""The score is 1 for what comes first in both ways."""


class Ranking:
    """Finds the passages of some stores that fit a question."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._find: str | None = None

    async def best(self, store_ids: Sequence[str], question: str, most: int) -> list[Mapping[str, Any]]:
        """The passages that fit best, the best first. Raises what the database does."""
        asked = list(dict.fromkeys(words(question)))[:MOST_WORDS]
        weighed = await self.database.fetch(WEIGH, [store_ids, asked])
        if not weighed:
            return []
        queries = {row["query"]: row["weight"] for row in weighed}
        letters = spelled({row["word"]: row["weight"] for row in weighed})
        weights = list(queries.values())
        return await self.database.fetch(
            await self._statement(),
            [store_ids, list(queries), weights, sum(weights), most, letters if any(letters) else None],
        )

    async def _statement(self) -> str:
        """What finds passages in a database like this one, which is looked at once."""
        if self._find is None:
            rows = await self.database.fetch("SELECT to_regtype('vector') IS NOT NULL", ())
            self._find = f"{BY_WORDS}, {BY_LETTERS if rows[0][0] else NO_LETTERS} {FUSED}"
        return self._find
