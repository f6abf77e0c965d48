"""Annotated camera frames: types, formats, catalog, label space, augmentation. Knows no detector."""
