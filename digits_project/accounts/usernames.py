"""What a user can be called: Django's rule, in ASCII, since it travels as a cookie."""

import re

USER_NAME = re.compile(r"\A[A-Za-z0-9@.+_-]{1,150}\Z")
USER_NAME_RULE = "A name is of up to 150 letters, digits and @.+-_, without blanks."
