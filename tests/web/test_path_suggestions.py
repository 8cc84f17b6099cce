"""Suggestions of server paths while a user types one: only paths that jobs can read."""

import pytest

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(settings, tmp_path):
    """The only data root: two folders and a file that start with "ca", another folder and a hidden one."""
    settings.DIGITS_AUTH = "open"
    root = tmp_path / "data"
    for name in ("cats", "cars", "dogs", ".hidden"):
        (root / name).mkdir(parents=True)
    (root / "cats.txt").touch()
    settings.DIGITS_DATA_ROOTS = [root]
    return root


def suggestions(client, query):
    response = client.get("/autocomplete/path", {"query": query})
    assert response.status_code == 200
    return response.json()["suggestions"]


def test_paths_that_start_with_the_query_are_suggested(client, root):
    assert suggestions(client, f"{root}/ca") == [f"{root}/{name}" for name in ("cars", "cats", "cats.txt")]


def test_a_folder_with_a_slash_suggests_its_content(client, root):
    (root / "cats" / "tom").mkdir()
    assert suggestions(client, f"{root}/cats/") == [f"{root}/cats/tom"]


@pytest.mark.parametrize("query", ["/et", "et", "//et"])
def test_folders_at_the_top_of_the_file_system_are_suggested(client, root, settings, query):
    settings.DIGITS_DATA_ROOTS = [root.__class__("/")]
    assert "/etc" in suggestions(client, query)


def test_hidden_files_are_suggested_if_the_query_starts_with_a_dot(client, root):
    assert suggestions(client, f"{root}/.h") == [f"{root}/.hidden"]


@pytest.mark.parametrize("query", ["", "/", "/srv", "srv/da"])
def test_data_roots_are_suggested_for_their_parent_folders(client, root, settings, query):
    settings.DIGITS_DATA_ROOTS = ["/srv/data", "/srv/databases"]
    assert suggestions(client, query) == ["/srv/data", "/srv/databases"]


@pytest.mark.parametrize("query", ["/etc/pas", "{root}/../secret", "{root}/link/", "/\x00", "./", "x" * 5000])
def test_paths_outside_the_data_roots_get_an_empty_list(client, root, query):
    (root.parent / "secret.txt").touch()
    (root / "link").symlink_to("/etc")
    assert suggestions(client, query.format(root=root)) == []


def test_links_that_lead_out_of_the_data_roots_are_not_suggested(client, root):
    (root / "catalogue").symlink_to("/etc")
    assert f"{root}/catalogue" not in suggestions(client, f"{root}/ca")


def test_at_most_100_paths_are_suggested(client, root):
    for number in range(150):
        (root / "dogs" / f"{number:03}").touch()
    assert suggestions(client, f"{root}/dogs/") == [f"{root}/dogs/{number:03}" for number in range(100)]


def test_file_names_that_are_not_utf_8_are_not_suggested(client, root):
    (root / "dogs" / b"\xff".decode(errors="surrogateescape")).touch()
    (root / "dogs" / "rex").touch()
    assert suggestions(client, f"{root}/dogs/") == [f"{root}/dogs/rex"]


def test_path_suggestions_require_a_login_on_a_server_with_accounts(client, root, settings):
    settings.DIGITS_AUTH = "required"
    assert client.get("/autocomplete/path", {"query": f"{root}/"}).status_code == 401
