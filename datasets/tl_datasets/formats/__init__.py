"""Annotation formats: `<name>.py` has `read(source, ...)`, which yields frames, and `<name>_write.py` its `write(...)`.

What several formats share lies in `common`. `index.FORMATS` and `convert.WRITERS` list what there is.
"""
