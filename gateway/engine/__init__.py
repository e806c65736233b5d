"""The engine: executes an operation by a plan, which is made once, in two phases that take turns.

Take `{ clones { nodes { name creator { fullName } experts { nodes { name } } } } }`.

The first phase loads, level by level. Each field that leads to other rows is loaded for all objects of its level with
one batch of a loader: the experts of all clones with one statement, however many clones there are. The one row that an
edge leads to comes along in the statement of its parents, as creators do, where only leaves and lists of it are wanted.

The second phase completes, once a level has its values. It calls a function that was generated for just these fields:

    def assemble(sources, field_0s):
        objects = []
        for source, field_0 in zip(sources, field_0s, strict=True):
            leaf_0 = source['name']
            object_1 = None
            if source['0._key'] is not None:
                leaf_2 = source['0.full_name']
                object_1 = {'fullName': leaf_2}
            if not isinstance(leaf_0, str):
                raise Anomaly
            objects.append({'name': leaf_0, 'creator': object_1, 'experts': field_0})
        return objects

A plan only knows how things go well. An error, a null where none may be, a value of another type: whatever else there
is, graphql-core executes the operation once more, over what has been loaded, and says what the specification wants.

- `leaves`: what is checked of a value without fields, and what it becomes
- `assembly`: writes the function for the fields of an object
- `plan`, `connections`: the kinds of fields that load, each a batch
- `planner`: makes a plan of an operation, field by field
- `plans`: keeps the plans
- `run`: what one execution knows of its request
- `execution`: chooses between a plan and graphql-core
"""
