"""Small files of demonstrations that come with the package; `experts/catalogue.toml` says what they are parts of."""
