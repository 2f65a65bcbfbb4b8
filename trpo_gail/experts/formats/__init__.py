"""One file per foreign layout of demonstrations."""
