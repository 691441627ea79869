"""Pages that show what the metadata store and the root folder hold: `cauce ui`, and `cauce report`.

Everything is rendered here, as HTML and as JSON of the same content. Nothing is written, no library of machine learning is loaded.
"""
