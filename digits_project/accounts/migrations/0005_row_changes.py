"""Triggers that notify the processes that cache rows of accounts (digits_project/common/row_cache.py)."""

from django.conf import settings
from django.db import migrations

FUNCTION = """
CREATE FUNCTION digits_rows_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('digits_rows', '');
    RETURN NULL;
END $$;
"""
TRIGGER = """
CREATE TRIGGER digits_rows_changed AFTER {changes} ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION digits_rows_changed();
"""
TABLES = {
    'auth_user': 'UPDATE OR DELETE OR TRUNCATE',
    'auth_group': 'UPDATE OR DELETE OR TRUNCATE',
    'auth_user_groups': 'INSERT OR UPDATE OR DELETE OR TRUNCATE',
    'django_session': 'UPDATE OR DELETE OR TRUNCATE',
    # All columns but last_used_at, which is written once a minute.
    'accounts_accesstoken': 'UPDATE OF user_id, name, digest, scope, expires_at OR DELETE OR TRUNCATE',
}


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0004_help_texts'),
        ('sessions', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL(FUNCTION, 'DROP FUNCTION digits_rows_changed();'),
        *(
            migrations.RunSQL(
                TRIGGER.format(table=table, changes=changes), f'DROP TRIGGER digits_rows_changed ON {table};'
            )
            for table, changes in TABLES.items()
        ),
    ]
