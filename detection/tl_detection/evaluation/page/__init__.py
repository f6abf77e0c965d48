"""An evaluation for people: one HTML file, a model card and a table, and what they are made from."""
