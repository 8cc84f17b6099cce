"""What pages of all kinds of jobs share: the lists and the queue of the home page, and the actions on chosen jobs."""
