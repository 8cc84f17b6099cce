"""The ranks of a training: several processes that train one network together, each on its share of every batch.

An engine that computes on one device in a process trains on several devices, of one host or of several, with one rank
for each. Rank 0 emits the events and writes the snapshots. All ranks take the same decisions, because they see the same
scores: those of all ranks together.
"""
