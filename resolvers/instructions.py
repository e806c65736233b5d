"""Instructions: what a model is told of the clone or the expert that it answers for."""

from collections.abc import Mapping
from typing import Any

import orjson


def of_clone(clone: Mapping[str, Any]) -> str:
    """What a clone is told: its prompt, its character, what it adds for its experts, and what these are told."""
    parts = [
        clone["system_prompt"] or f"You are {clone['name']}. {clone['bio'] or ''}",
        _listed("Your character", clone["personality_traits"]),
        _listed("How you speak", clone["communication_style"]),
        clone["expert_context"],
        *clone["contexts"],
    ]
    return "\n\n".join(part.strip() for part in parts if part and part.strip())


def _listed(title: str, fragment: orjson.Fragment) -> str | None:
    """A heading with what is under it, if there is something. fragment: an object of JSON."""
    traits = orjson.loads(orjson.dumps(fragment))
    if not traits or not isinstance(traits, dict):
        return None
    lines = (
        f"- {name}: {each if isinstance(each, str) else orjson.dumps(each).decode()}" for name, each in traits.items()
    )
    return "\n".join((f"{title}:", *lines))
