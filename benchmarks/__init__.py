"""How fast, as a ratio to what a user would otherwise pick, both measured in the same run."""
