"""Published sets of images, fetched for `manage.py download_data`."""
