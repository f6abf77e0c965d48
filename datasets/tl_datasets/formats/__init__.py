"""One file per annotation format: `read(source, ...)` yields frames, `write(...)` exists where it makes sense."""
