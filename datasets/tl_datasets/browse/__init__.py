"""A page to look at a catalog in a browser: counts, a gallery with filters, crops of lights. It needs no server."""
