"""Ratings: once for each session that is over, and the clone's mean follows exactly."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from db import Scope
from tests.money import act, bank, grant, new_clone, problem, send, service_headers, session_of, start
from tests.serving import Gateway


@pytest.fixture(scope="module")
def changing(server_url: str, template: str) -> Iterator[Gateway]:
    """A gateway over data that the tests of this file may change. Aiko can pay for all of it."""
    with bank(server_url, template) as gateway:
        grant(gateway, "aiko", 1_000)
        yield gateway


def ended(gateway: Gateway, person: str = "aiko", clone: str | None = None, **values: Any) -> str:
    """The id of a new session that is over."""
    session = start(gateway, person, clone, **values)
    act(gateway, "endSession", person, id=session)
    return session


def test_a_rating_is_kept_with_what_was_written_about_it(changing: Gateway) -> None:
    rated = act(changing, "rateSession", "aiko", id=ended(changing), rating=4, feedback="Found the leak. \N{DROPLET}")

    assert (rated["userRating"], rated["userFeedback"]) == (4, "Found the leak. \N{DROPLET}")
    assert Decimal(rated["clone"]["averageRating"]) == 4
    assert rated["clone"]["totalRatings"] == 1


def test_the_mean_of_a_clone_is_that_of_its_ratings(changing: Gateway) -> None:
    clone = new_clone(changing)
    ended(changing, clone=clone)

    means = [
        act(changing, "rateSession", person, id=ended(changing, person, clone), rating=rating)["clone"]
        for person, rating in (("aiko", 5), ("samuel", 4), ("aiko", 4))
    ]

    assert [Decimal(mean["averageRating"]) * mean["totalRatings"] for mean in means[:2]] == [5, 9]
    assert round(Decimal(means[2]["averageRating"]) * 3, 10) == 13
    assert [(mean["totalRatings"], mean["totalSessions"]) for mean in means] == [(1, 2), (2, 3), (3, 4)]


def test_a_session_is_rated_once(changing: Gateway) -> None:
    session = ended(changing)
    rated = act(changing, "rateSession", "aiko", id=session, rating=1, feedback="Rude.")

    refusals = [problem(changing, "rateSession", who, id=session, rating=5) for who in ("aiko", "grace")]

    assert [(each["__typename"], each["code"], each["path"]) for each in refusals] == [
        ("AlreadyRated", "ALREADY_RATED", ["input", "id"])
    ] * 2
    assert session_of(changing, session, as_="aiko") == rated


@pytest.mark.parametrize("values", [{"demo": True}, {"sessionType": "VIDEO"}], ids=str)
def test_every_kind_of_session_can_be_rated(changing: Gateway, values: dict[str, Any]) -> None:
    assert act(changing, "rateSession", "aiko", id=ended(changing, **values), rating=3)["userRating"] == 3


def test_admins_and_services_rate_for_people(changing: Gateway) -> None:
    service = service_headers(changing.database_url, Scope.SESSIONS)

    assert [
        act(changing, "rateSession", who, id=ended(changing), rating=2)["userRating"] for who in ("grace", service)
    ] == [2, 2]


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"rating": 0}, "rating"),
        ({"rating": 6}, "rating"),
        ({"rating": -2_147_483_648}, "rating"),
        ({"rating": 5, "feedback": "x" * 10_001}, "feedback"),
        ({"rating": 5, "feedback": "a\0b"}, "feedback"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_rating_that_cannot_be_is_a_user_error(changing: Gateway, values: dict[str, Any], path: str) -> None:
    session = ended(changing)

    refusal = problem(changing, "rateSession", "aiko", id=session, **values)

    assert (refusal["code"], refusal["path"]) == ("INVALID_INPUT", ["input", path])
    assert session_of(changing, session)["userRating"] is None


@pytest.mark.parametrize("rating", [4.5, "5", 2**31, True, None], ids=str)
def test_what_is_no_whole_number_is_bad_input(changing: Gateway, rating: Any) -> None:
    assert send(changing, "rateSession", "aiko", id=ended(changing), rating=rating).codes == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("feedback", [None, "", "x" * 10_000], ids=lambda text: str(text)[:5])
def test_one_can_say_nothing_or_much_about_a_rating(changing: Gateway, feedback: str | None) -> None:
    rated = act(changing, "rateSession", "aiko", id=ended(changing), rating=5, feedback=feedback)

    assert rated["userFeedback"] == feedback
