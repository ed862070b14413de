"""The errors, warnings and notes that users see."""
