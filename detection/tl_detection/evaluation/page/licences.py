"""Terms of the data sets and detectors that a model card can name. Whatever is not here is said not to be known.

They were read in the places named beside them, and are no advice: the text that came with the data holds.
"""

from __future__ import annotations

import re

# By a word of the source's name.
_OF_DATA = {
    # doc/source/license.rst of the BDD100K toolkit
    "bdd100k": "BDD100K's own: education, research and not-for-profit use; commercial rights for members alone",
    # non-commercial_license.docx beside BSTLD's labels
    "bstld": "Bosch's own: non-commercial use, attribution, share alike",
    # its page on Kaggle
    "lisa": "CC BY-NC-SA 4.0",
    # the licence file of its repository
    "s2tld": "MIT",
    # cvlibs.net
    "kitti": "CC BY-NC-SA 3.0",
    # cocodataset.org: annotations; the images are under the terms of Flickr
    "coco": "annotations CC BY 4.0; images under the terms of Flickr",
    # its repository
    "tlony": "MIT",
}
_OF_ENGINE = {"yolo": "AGPL-3.0 (trained through ultralytics), unless its makers granted another licence"}
UNKNOWN = "not known; see what came with it"


def licence_of_data(source: str) -> str:
    """The terms of a data set by the name of its source."""
    words = re.findall(r"[a-z0-9]+", source.lower())
    return next((terms for name, terms in _OF_DATA.items() if name in words), UNKNOWN)


def licence_of_model(engine: str | None) -> str:
    """The terms that an engine puts its weights under."""
    return _OF_ENGINE.get(engine or "", UNKNOWN)
