"""Accounts and tokens for requests to a server that requires them, and the field errors in responses."""

from django.contrib.auth.models import Group, User

from digits_project.accounts import tokens

PASSWORD = "engine no. 1"


def make_account(name, *groups, **fields):
    """A user in these groups."""
    user = User.objects.create_user(name, password=PASSWORD, **fields)
    user.groups.set(Group.objects.filter(name__in=groups))
    return user


def token_header(user, **limits):
    """The Authorization header with a new token of the user; `limits` are its scope and expiry."""
    return {"Authorization": f"Token {tokens.issue(user, 'test', **limits)[1]}"}


def field_errors(response):
    """{field: message} of a response with status 400."""
    assert response.status_code == 400, response.content
    return {error["field"]: error["message"] for error in response.json()["errors"]}
