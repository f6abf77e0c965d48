"""Archives of strangers, unpacked safely."""
