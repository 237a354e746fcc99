"""The errors of imagebus: what each one means for the program that meets it."""


class ImagebusError(Exception):
    """Any error that imagebus raises on purpose."""

    exit_code = 1


class ConfigurationError(ImagebusError):
    """A flag, variable or file is wrong: the program ends with 2 and one line that names it.

    Args:
        message: what is wrong, with the value, and what to do.
        flag: the flag as it is typed, such as ``--topic``; empty when no flag is at fault.
    """

    exit_code = 2

    def __init__(self, message: str, flag: str = "") -> None:
        super().__init__(f"{flag}: {message}" if flag else message)
        self.flag = flag


class BusError(ImagebusError):
    """The broker refuses for good (rights, configuration): the program ends with 1 and is restarted."""


class BrokerAwayError(BusError):
    """The broker does not answer now; it may again."""


class TopicGoneError(BusError):
    """The topic is no longer there: made anew, it takes what was sent."""


class FilterError(ImagebusError):
    """A filter fails where no frame is at fault: told of its cameras, or at the end of a run."""


class TooManyFailuresError(ImagebusError):
    """A filter failed on so many frames in a row that the filter itself must be at fault: exit 1."""


class UnfinishedError(ImagebusError):
    """A bounded run was stopped before its end: exit 1, so that no script takes it for whole."""


class FetchError(ImagebusError):
    """A file could not be fetched, or is not the one that was asked for; nothing was left in its place."""


class ModelError(ImagebusError):
    """The model cannot be had, read or run: no frame is at fault, so the program ends with 1."""


class FrameError(ImagebusError):
    """One record or picture is at fault: it becomes a dead letter and the program goes on.

    Args:
        message: what is wrong, with the value.
        reason: the short word under which such frames are counted.
    """

    def __init__(self, message: str, reason: str = "frame") -> None:
        super().__init__(message)
        self.reason = reason
