"""What a request can get wrong about a list."""


class BadInput(Exception):
    """The request asks for something that cannot be. The message says what to do instead."""


class BadCursor(BadInput):
    """This cursor cannot be used here. Take cursors from pageInfo or edges of a list with the same filter and order."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)
