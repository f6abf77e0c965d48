"""Light-safe augmentation: colour and direction are the label, and no visible lamp silently becomes background.

`settings` says what can be configured, `pipeline` makes samples, `geometry`, `mirror`, `mix_up` and `copy_paste` move
pixels and boxes together, `transforms` is the only door to albumentations. What a policy does to the lamps of a
catalog is measured by `tl_datasets.lint`.
"""
