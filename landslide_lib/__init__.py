"""Landslide detection."""
