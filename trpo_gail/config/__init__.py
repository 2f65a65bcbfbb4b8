"""Everything that decides what a run computes, as one tree of dataclasses."""
