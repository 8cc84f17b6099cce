"""How much of what is planted in a dataset its report finds, how long it takes, and how much memory."""
