"""The text of a spec: TOML, YAML or JSON, with the place of every field."""
