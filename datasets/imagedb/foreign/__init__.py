"""Databases that another program built: LMDB, RecordIO, Caffe Datum."""
