"""The engine of login sessions (SESSION_ENGINE): in the database, and cached in the web process."""

from typing import Any

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils import timezone

from digits_project.common import row_cache


class SessionStore(db.SessionStore):
    """Django's sessions in the database; a request of a session that is cached needs no query."""

    def load(self) -> dict[str, Any]:
        """The session's data; {} if there is no such session, or no more."""
        row = row_cache.cached(("session", self.session_key), self._find)
        if row is None or row.expire_date <= timezone.now():
            self._session_key = None  # so that another key is made, as Django does
            return {}
        return self.decode(row.session_data)

    def _find(self) -> Session | None:
        return Session.objects.filter(session_key=self.session_key).first()
