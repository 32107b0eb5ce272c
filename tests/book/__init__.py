"""The built book as its readers use it; a package, as its conftest is not that of `tests`."""
