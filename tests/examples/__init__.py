"""The examples as real processes: what people copy works, whatever is killed."""
