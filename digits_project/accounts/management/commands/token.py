"""`manage.py token make|list|withdraw`"""

import argparse
import json
import re
from argparse import SUPPRESS
from datetime import datetime, timedelta, timezone

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import ProgrammingError

from digits_project.accounts import tokens
from digits_project.accounts.models import AccessToken, Scope

SCOPES = f"({'; '.join(Scope.labels)})"
UNITS = {"h": "hours", "d": "days"}


class Command(BaseCommand):
    help = (
        "Tokens for scripts: `Authorization: Token …`. Examples: manage.py token make ada --name nightly; "
        "manage.py token list --json; manage.py token withdraw 3"
    )

    def add_arguments(self, parser):
        parser.add_argument("--json", action="store_true", help="print the result as JSON to standard output")
        actions = parser.add_subparsers(dest="action", required=True, metavar="make|list|withdraw")
        make = actions.add_parser("make", help="create a token and print it; it is never shown again")
        make.add_argument("user", help="the user that the token stands for")
        make.add_argument(
            "--name", default="script", help="the token's name, such as the script that will use it [script]"
        )
        make.add_argument(
            "--scope", choices=Scope.values, default=Scope.ALL, help=f"what the token allows {SCOPES} [all]"
        )
        make.add_argument("--expires", type=_moment, help="when the token expires: 30d, 12h, or 2027-01-31 [never]")
        show = actions.add_parser(
            "list", help="list the tokens: number, user, name, scope, when created, when it expires, last used"
        )
        show.add_argument("user", nargs="?", help="only the tokens of this user")
        withdraw = actions.add_parser("withdraw", help="withdraw a token: nobody can use it any more")
        withdraw.add_argument("number", type=int, help="number of the token, as `manage.py token list` shows it")
        for action in (make, show, withdraw):
            # SUPPRESS: an option that is missing here keeps the value given before the action.
            action.add_argument("--json", action="store_true", default=SUPPRESS, help="print the result as JSON")

    def handle(self, *, action, **options):
        try:
            {"make": self._make, "list": self._list, "withdraw": self._withdraw}[action](options)
        except ProgrammingError as old:
            why = str(old).partition("\n")[0]
            raise CommandError(f"The database lacks tables of this version ({why}). Run manage.py migrate.") from old

    def _print_json(self, value) -> None:
        self.stdout.write(json.dumps(value, indent=2, ensure_ascii=False))

    def _make(self, options):
        user = get_user_model().objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(
                f"There is no user {options['user']}. Create the user in the admin, or a superuser with manage.py "
                "createsuperuser."
            )
        try:
            token, secret = tokens.issue(user, options["name"], options["scope"], options["expires"])
        except ValidationError as wrong:
            raise CommandError("; ".join(wrong.messages)) from wrong
        if options["json"]:
            self._print_json(_facts(token) | {"token": secret})
        else:
            self.stdout.write(secret)

    def _list(self, options):
        found = AccessToken.objects.select_related("user")
        found = found.filter(user__username=options["user"]) if options["user"] else found
        if options["json"]:
            self._print_json([_facts(token) for token in found])
            return
        for token in found:
            used = f"{token.last_used_at:%Y-%m-%d %H:%M}" if token.last_used_at else "never used"
            expiry = f"expires {token.expires_at:%Y-%m-%d %H:%M}" if token.expires_at else "never expires"
            shown = expiry.replace("expires", "expired") if token.has_expired else expiry
            facts = (token.pk, token.user, token.name, token.scope, f"{token.created_at:%Y-%m-%d %H:%M}", shown, used)
            self.stdout.write("\t".join(map(str, facts)))

    def _withdraw(self, options):
        token = AccessToken.objects.filter(pk=options["number"]).first()
        if token is None:
            raise CommandError(f"There is no token {options['number']}; manage.py token list shows them.")
        facts = _facts(token)
        tokens.withdraw(token)
        if options["json"]:
            self._print_json(facts | {"withdrawn": True})
        else:
            self.stdout.write(f"{token} is withdrawn.")


def _facts(token: AccessToken) -> dict:
    """A token as JSON, without its secret, which is not stored."""
    used = token.last_used_at
    return {
        "number": token.pk,
        "user": str(token.user),
        "name": token.name,
        "scope": token.scope,
        "expires_at": token.expires_at.isoformat() if token.expires_at else None,
        "created_at": token.created_at.isoformat(),
        "last_used_at": used.isoformat() if used else None,
    }


def _moment(text: str) -> datetime:
    """The time that an option names: 30d or 12h from now, or a date (its start, in UTC)."""
    if span := re.fullmatch(r"(\d{1,5})([hd])", text):
        return datetime.now(timezone.utc) + timedelta(**{UNITS[span[2]]: int(span[1])})
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=timezone.utc)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text} is neither a duration like 30d or 12h nor a date like 2027-01-31"
        ) from None
