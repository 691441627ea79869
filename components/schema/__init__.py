"""Schemas: inferred or imported as an artifact (`component`), read (`file`), and reviewed by a person (`review`)."""
