"""Expert demonstrations: read, check, record; and the policies that they come from."""
