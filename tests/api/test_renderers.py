"""The JSON of tables has the same bytes as that of json itself, whatever the names in it."""

import json

import pytest

from digits_project.api.renderers import PrettyJSONRenderer

NAMES = ("plain", "two\nlines", "},\n      {", '"},\n      {"', "\\", "Käse 中文", "\u2028\u2029", "", "{}", "[]")
TABLE = [{"id": str(number), "name": name, "count": number} for number, name in enumerate(NAMES)]
SAMPLES = {
    "one table": {"datasets": TABLE},
    "two tables": {"datasets": TABLE, "models": TABLE[:1]},
    "an empty list beside a table": {"datasets": [], "models": TABLE},
    "other values beside a table": {"name": "a\nb", "nested": {"deep": [1, {"x": []}]}, "rows": TABLE, "none": None},
    "rows with nested values": {"rows": [{"id": 1, "labels": ["a", "b"]}, {"id": 2, "labels": []}]},
    "an empty row": {"rows": [{}, {"id": 1}]},
    "numbers and truth values": {"rows": [{"a": 1.5, "b": True, "c": None, "d": -1e300, "e": 2**70}]},
    "keys with quotes": {'a "b"': [{'c\n"d"': 1}]},
    "numbers as keys": {1: [{2: "x"}]},
    "a list": TABLE,
}


@pytest.mark.parametrize("data", SAMPLES.values(), ids=list(SAMPLES))
def test_the_renderer_writes_the_bytes_of_json_dumps(data):
    expected = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    expected = expected.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    assert PrettyJSONRenderer().render(data).decode() == expected


def test_a_number_that_json_cannot_write_in_a_table_is_refused():
    with pytest.raises(ValueError, match="Out of range float values"):
        PrettyJSONRenderer().render({"rows": [{"loss": float("nan")}]})
