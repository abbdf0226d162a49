"""What stands between a model's scores and a person: history, filters, variety, doubt, reasons, new items."""
