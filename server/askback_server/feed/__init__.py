"""Following committed changes, and fanning them out."""
