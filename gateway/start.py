"""The command `clonegraph`, as it is installed."""

import gc


def main() -> None:
    """Load the command line and run it."""
    # Loading makes half a million objects that stay. To look through them for garbage every 700 takes a third of it.
    gc.set_threshold(50_000, 20, 50)
    from gateway import cli

    cli.main()
