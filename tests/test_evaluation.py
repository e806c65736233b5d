"""Search finds at least as well as the last time that somebody measured it."""

import asyncio
from collections import Counter

import pytest

from db import migrate
from db.demo.content import subjects
from db.engine import Database
from tests.evaluation.measure import Figures, measure, questions


def measured(url: str) -> dict[str, tuple[Figures, Figures]]:
    async def measuring() -> dict[str, tuple[Figures, Figures]]:
        await migrate.upgrade(url)
        database = Database(url)
        try:
            return await measure(database)
        finally:
            await database.close()

    return asyncio.run(measuring())


@pytest.mark.usefixtures("pgvector")
def test_the_right_document_is_among_the_first_three_more_often_than_by_full_text(empty_database: str) -> None:
    found = measured(empty_database)

    _, ours = found["Ours"]
    _, words_only = found["Ours, without pgvector"]
    _, any_word = found["Full text, any word"]
    assert ours.of_three >= 0.71
    assert ours.first >= 0.58
    assert ours.nothing >= 0.5
    assert ours.of_three > any_word.of_three
    assert ours.nothing > any_word.nothing
    assert words_only.first > any_word.first
    assert words_only.of_three >= 0.65
    assert words_only.nothing >= 0.7


def test_the_questions_are_of_every_kind_and_about_every_document() -> None:
    asked = questions()

    documents = {f"{subject.slug}/{slug}" for subject in subjects().values() for slug in subject.texts}
    assert {each.document for each in asked if each.document} == documents
    assert Counter(each.kind for each in asked).keys() == {"plain", "words", "form", "typo", "none"}
    assert all((each.kind == "none") == (each.document is None) for each in asked)
    assert len({each.text for each in asked}) == len(asked) >= 40
