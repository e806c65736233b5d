"""The demo: a cast of people, the clones and the library they work with, and half a year of their sessions.

    people      who is there                      cast, people
    library     what can be known                 content, library, provider, local, files
    market      who answers                       market, clones, knowledge
    lives       what happened, and what it cost   talk, visit, ledger, life, totals
    world       all of it, as rows                world, batch, load

Everything is drawn with dice that always fall the same way: a scale is the same rows everywhere, ids included.
"""

from db.demo.cast import ACTIVE, CAST, Person
from db.demo.files import files
from db.demo.load import NotEmpty, go_on, load
from db.demo.scale import Scale
from db.demo.talk import CREDITS_PER_TOKEN

__all__ = ["ACTIVE", "CAST", "CREDITS_PER_TOKEN", "NotEmpty", "Person", "Scale", "files", "go_on", "load"]
