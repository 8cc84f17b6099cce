"""Downloads published image sets, for `manage.py download_data`."""
