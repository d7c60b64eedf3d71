"""Why there is no number, other than a wrong answer."""


class NotMeasured(Exception):
    """A case does not apply to a server, or can't be had on this machine: said in the report, and no failure."""
