"""The two wire formats, DIGITS_WIRE_FORMAT=documented and digits."""

from django.conf import settings


# --- wire formats --------------------------------------------------------------------------------------------------
def is_of_digits() -> bool:
    """Whether responses have the format that clients of DIGITS parse."""
    return settings.DIGITS_WIRE_FORMAT == "digits"


def predictions(ranked: list[tuple[str, float]]):
    """[(category, percent)], best first, in the format of DIGITS_WIRE_FORMAT."""
    if is_of_digits():
        return [[category, percent] for category, percent in ranked]
    return dict(ranked)


def errors(by_field: dict):
    """{field: [message, …]} in the format of DIGITS_WIRE_FORMAT."""
    by_field = {field: [printable(message) for message in messages] for field, messages in by_field.items()}
    if is_of_digits():
        return by_field
    return [{"field": field, "message": message} for field, messages in by_field.items() for message in messages]


def printable(message) -> str:
    """A message with lone surrogates replaced, which JSON can contain but UTF-8 can't."""
    return str(message).encode("utf-8", "replace").decode()
