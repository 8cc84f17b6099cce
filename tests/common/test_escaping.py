import pytest

from digits_project.common.escaping import escaped


@pytest.mark.parametrize(
    "text, shown",
    [
        ("cat", "cat"),
        ("un café", "un café"),
        ("\x1b[31mcat", r"\x1b[31mcat"),
        ("cat\tdog\n", r"cat\tdog\n"),
        ("\x9b31m", r"\x9b31m"),
        ("c\u200bat", r"c\u200bat"),
        ("\u202etac", r"\u202etac"),
        ("\ufeffcat", r"\ufeffcat"),
        ("so\u00adft", r"so\xadft"),
        ("\u3164", r"\u3164"),
        ("caf\udce9", r"caf\udce9"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("ca\u200ct", r"ca\u200ct"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
    ],
)
def test_what_a_terminal_obeys_or_nobody_sees_becomes_an_escape(text, shown):
    assert escaped(text) == shown


def test_what_is_to_be_kept_stays():
    assert escaped("a\tb\x1b\n", keep="\t\n") == "a\tb\\x1b\n"
