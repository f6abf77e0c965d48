"""The linter of augmentation: measures on signal heads whether a policy keeps the state true that is their label."""
