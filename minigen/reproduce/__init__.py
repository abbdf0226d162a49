"""Published experiments made again: their schedule, their data, their figure."""
