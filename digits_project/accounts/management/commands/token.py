"""`manage.py token make|list|withdraw`"""

import argparse
import re
from datetime import datetime, timedelta, timezone

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from digits_project.accounts import tokens
from digits_project.accounts.models import AccessToken, Scope

SCOPES = f"({'; '.join(Scope.labels)})"
UNITS = {"h": "hours", "d": "days"}


class Command(BaseCommand):
    help = (
        "Tokens for scripts: `Authorization: Token …`. Examples: manage.py token make ada --name nightly; "
        "manage.py token list; manage.py token withdraw 3"
    )

    def add_arguments(self, parser):
        actions = parser.add_subparsers(dest="action", required=True, metavar="make|list|withdraw")
        make = actions.add_parser("make", help="make one and print it; it is never shown again")
        make.add_argument("user", help="whom it stands for")
        make.add_argument("--name", default="script", help="what it is for [script]")
        make.add_argument(
            "--scope", choices=Scope.values, default=Scope.ALL, help=f"what it lets its user do {SCOPES} [all]"
        )
        make.add_argument("--expires", type=_moment, help="when: 30d, 12h, or 2027-01-31 [never]")
        show = actions.add_parser("list", help="list them: number, user, name, scope, when made, expired, last used")
        show.add_argument("user", nargs="?", help="only those of this user")
        withdraw = actions.add_parser("withdraw", help="nobody gets in with it any more")
        withdraw.add_argument("number", type=int, help="as list shows it")

    def handle(self, *, action, **options):
        {"make": self._make, "list": self._list, "withdraw": self._withdraw}[action](options)

    def _make(self, options):
        user = get_user_model().objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['user']}; manage.py createsuperuser or the admin makes one.")
        try:
            self.stdout.write(tokens.issue(user, options["name"], options["scope"], options["expires"])[1])
        except ValidationError as wrong:
            raise CommandError("; ".join(wrong.messages)) from wrong

    def _list(self, options):
        found = AccessToken.objects.select_related("user")
        for token in found.filter(user__username=options["user"]) if options["user"] else found:
            used = f"{token.last_used_at:%Y-%m-%d %H:%M}" if token.last_used_at else "never used"
            expiry = f"expires {token.expires_at:%Y-%m-%d %H:%M}" if token.expires_at else "never expires"
            shown = expiry.replace("expires", "expired") if token.has_expired else expiry
            facts = (token.pk, token.user, token.name, token.scope, f"{token.created_at:%Y-%m-%d %H:%M}", shown, used)
            self.stdout.write("\t".join(map(str, facts)))

    def _withdraw(self, options):
        token = AccessToken.objects.filter(pk=options["number"]).first()
        if token is None:
            raise CommandError(f"There is no token {options['number']}; manage.py token list shows them.")
        tokens.withdraw(token)
        self.stdout.write(f"{token} is withdrawn.")


def _moment(text: str) -> datetime:
    """30d and 12h from now, or a date, its first moment in UTC."""
    if span := re.fullmatch(r"(\d{1,5})([hd])", text):
        return datetime.now(timezone.utc) + timedelta(**{UNITS[span[2]]: int(span[1])})
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=timezone.utc)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is neither like 30d or 12h nor a date like 2027-01-31") from None
