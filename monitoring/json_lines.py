"""Files with a JSON object a line, each of a pydantic model, whose damaged line is named."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from graft.models.errors import GraftError

M = TypeVar("M", bound=BaseModel)


def parsed(model: type[M], line: bytes | str, place: str, what: str) -> M:
    """What a line holds.

    Args:
        model: that it is one of.
        line: with or without its end.
        place: file and number of the line, for people.
        what: what it must be, likewise.

    Raises:
        GraftError: it is none.
    """
    try:
        return model.model_validate_json(line)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise GraftError(f"{place}: {where}: {fault['msg']}; it must be {what}") from error
