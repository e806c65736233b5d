"""What a viewer may not do."""


class Forbidden(Exception):
    """You may not see this. Sign in as somebody who may."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)
