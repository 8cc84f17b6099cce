"""What answers say."""


def complaints(answer):
    """{field: message} of a 400."""
    assert answer.status_code == 400, answer.content
    return {error["field"]: error["message"] for error in answer.json()["errors"]}
