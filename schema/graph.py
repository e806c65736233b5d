"""The graph: all types put together."""

from strawberry import Schema
from strawberry.schema.config import StrawberryConfig

import db
from schema.filters import filter_of
from schema.mutation import Mutation
from schema.query import Query
from schema.scalars import SCALARS
from schema.subscription import Subscription
from schema.user_error import CONCRETE

for _row in db.Row.__subclasses__():
    filter_of(_row)

graph = Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=CONCRETE,
    config=StrawberryConfig(scalar_map=SCALARS),
)
"""The executable schema. Its text is kept in `schema.graphql`."""

core_schema = graph._schema
"""The same for graphql-core, which validates and executes."""
