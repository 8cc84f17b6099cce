"""Makes datasets of the records of another one: a revision, without some images and with other labels; a fold."""
