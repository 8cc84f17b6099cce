"""Reads databases that another program built: LMDB of Caffe Datum, RecordIO."""
