"""`make demo`: from folders of digits to a trained classifier, over HTTP."""
