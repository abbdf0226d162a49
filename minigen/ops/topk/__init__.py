"""The best k items of each row."""
