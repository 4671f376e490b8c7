"""The pages, and in `figures` what draws their figures."""
