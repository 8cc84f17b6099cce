"""The Pythons in which trainers run: how a trainer is started in one, and which packages its imports find."""
