"""What paths are suggested to who types one: readable ones, and no others."""

import pytest

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(settings, tmp_path):
    """The only folder that jobs may read."""
    settings.DIGITS_AUTH = "open"
    root = tmp_path / "data"
    for name in ("cats", "cars", "dogs", ".hidden"):
        (root / name).mkdir(parents=True)
    (root / "cats.txt").touch()
    settings.DIGITS_DATA_ROOTS = [root]
    return root


def suggestions(client, query):
    answer = client.get("/autocomplete/path", {"query": query})
    assert answer.status_code == 200
    return answer.json()["suggestions"]


def test_what_begins_so_is_suggested(client, root):
    assert suggestions(client, f"{root}/ca") == [f"{root}/{name}" for name in ("cars", "cats", "cats.txt")]


def test_a_folder_with_its_slash_tells_what_is_in_it(client, root):
    (root / "cats" / "tom").mkdir()
    assert suggestions(client, f"{root}/cats/") == [f"{root}/cats/tom"]


@pytest.mark.parametrize("query", ["/et", "et", "//et"])
def test_what_lies_at_the_very_top_is_suggested_too(client, root, settings, query):
    settings.DIGITS_DATA_ROOTS = [root.__class__("/")]
    assert "/etc" in suggestions(client, query)


def test_who_begins_a_hidden_name_gets_it(client, root):
    assert suggestions(client, f"{root}/.h") == [f"{root}/.hidden"]


@pytest.mark.parametrize("query", ["", "/", "/srv", "srv/da"])
def test_the_way_to_a_root_is_suggested(client, root, settings, query):
    settings.DIGITS_DATA_ROOTS = ["/srv/data", "/srv/databases"]
    assert suggestions(client, query) == ["/srv/data", "/srv/databases"]


@pytest.mark.parametrize("query", ["/etc/pas", "{root}/../secret", "{root}/link/", "/\x00", "./", "x" * 5000])
def test_what_lies_outside_is_neither_told_nor_an_error(client, root, query):
    (root.parent / "secret.txt").touch()
    (root / "link").symlink_to("/etc")
    assert suggestions(client, query.format(root=root)) == []


def test_a_link_that_leads_out_is_not_suggested(client, root):
    (root / "catalogue").symlink_to("/etc")
    assert f"{root}/catalogue" not in suggestions(client, f"{root}/ca")


def test_a_full_folder_gives_a_hundred(client, root):
    for number in range(150):
        (root / "dogs" / f"{number:03}").touch()
    assert suggestions(client, f"{root}/dogs/") == [f"{root}/dogs/{number:03}" for number in range(100)]


def test_names_that_are_no_text_are_left_out(client, root):
    (root / "dogs" / b"\xff".decode(errors="surrogateescape")).touch()
    (root / "dogs" / "rex").touch()
    assert suggestions(client, f"{root}/dogs/") == [f"{root}/dogs/rex"]


def test_a_server_with_accounts_suggests_nothing_to_strangers(client, root, settings):
    settings.DIGITS_AUTH = "required"
    assert client.get("/autocomplete/path", {"query": f"{root}/"}).status_code == 401
