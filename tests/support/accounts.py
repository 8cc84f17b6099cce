"""Accounts of a server that requires them."""

from django.contrib.auth.models import Group, User

from digits_project.accounts import tokens

PASSWORD = "engine no. 1"


def account(name, *groups, **fields):
    """A user in these groups."""
    user = User.objects.create_user(name, password=PASSWORD, **fields)
    user.groups.set(Group.objects.filter(name__in=groups))
    return user


def token_of(user):
    """The header of a request that comes with a token of that user."""
    return {"Authorization": f"Token {tokens.issue(user, 'test')[1]}"}
