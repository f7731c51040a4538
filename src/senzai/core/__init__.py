"""Core: what every room needs and nothing that knows a model: errors, registry, spec, batch, random state, files."""
