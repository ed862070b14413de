"""Loss files: YAML, mappings and `use:` to the trees that programs have."""
