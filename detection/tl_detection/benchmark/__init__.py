"""`tl benchmark`: how long a frame takes in an exported file, beside other ways to run the same weights, in one run."""
